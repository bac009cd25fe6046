"""Sequential models written out as Functional ones, which alone have sums."""

from collections.abc import Iterator

from service.keras import parse
from service.keras.base import Form, Ref
from worker.patch.edits import Drop, Edit, Insert, Put
from worker.patch.keras.stating import Json, written
from worker.patch.keras.wiring import is_older, name_of
from worker.patch.places import NoWay, Steps


def as_functional(document: Json, steps: Steps) -> Iterator[Edit]:
    """Yield the edits that make a Sequential model, around the layer at `steps`, a Functional one.

    NoWay where the model is a layer of another.
    """
    if len(steps) != len(("config", "layers", 0)):
        message = "A Sequential model inside another has no sums."
        raise NoWay(message, steps)
    description = parse(document)
    (given,) = description.model.given
    forms = description.model.forms(description.call(), "")
    held, older = document["config"]["layers"], is_older(document)
    yield Put(("class_name",), "Functional")
    if not older:
        yield Put(("module",), "keras.src.models.functional")
        yield Put(("registered_name",), "Functional")
    yield from (Drop((key,)) for key in document.keys() & {"build_config"})
    yield from (Drop(("config", key)) for key in document["config"].keys() & {"build_input_shape", "dtype"})
    yield Put(("config", "input_layers"), [[given.name, 0, 0]])
    yield Put(("config", "output_layers"), [[name_of(held[-1]), 0, 0]])
    yield from _wired(held, given.name, forms, older=older)


def _wired(held: list[Json], given: str, forms: dict[Ref, Form], *, older: bool) -> Iterator[Edit]:
    """Yield the edits that let each layer read the one before it."""
    read = given
    if held[0]["class_name"] != "InputLayer":
        first = forms[Ref(given, 0, 0)]
        shape = {"batch_input_shape" if older else "batch_shape": [None, *first.shape]}
        source = written("layers", "InputLayer", {**shape, "dtype": first.dtype, "name": given}, older)
        yield Insert(("config", "layers", 0), {**source, "name": given, "inbound_nodes": []})
    for index, layer in enumerate(held):
        name, steps = name_of(layer), ("config", "layers", index)
        yield Put((*steps, "name"), name)
        yield Put((*steps, "inbound_nodes"), [] if layer["class_name"] == "InputLayer" else _reads(read, forms, older))
        read = name


def _reads(name: str, forms: dict[Ref, Form], older: bool) -> list[object]:  # noqa: FBT001  a format
    """Return the one call of a layer that reads the output of another."""
    if older:
        return [[[name, 0, 0, {}]]]
    form = forms[Ref(name, 0, 0)]
    config = {"shape": [None, *form.shape], "dtype": form.dtype, "keras_history": [name, 0, 0]}
    return [{"args": [{"class_name": "__keras_tensor__", "config": config}], "kwargs": {}}]
