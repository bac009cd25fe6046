"""Layers put into Keras models, Sequential and Functional, of Keras 3 and of tf.keras 2."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from service.keras import parse
from service.keras.base import Ref
from worker.patch.edits import Edit, Insert, Put, at
from worker.patch.keras.stating import Json, written
from worker.patch.places import NoWay, Steps

Reference: TypeAlias = tuple[str, int, int]
"""A tensor as Keras names it: which output of which call of which layer."""


class Fresh(NamedTuple):
    """A layer to be put in."""

    kind: str
    fields: Mapping[str, Any]


def is_older(document: Json) -> bool:
    """Whether a document is tf.keras 2's."""
    return "module" not in document


def inserted_behind(document: Json, steps: Steps, calls: Sequence[tuple[int, Fresh]]) -> Iterator[Edit]:
    """Yield the edits that put a layer behind each of these calls of the layer at `steps`."""
    if steps[-2] != "layers":
        message = f"A layer inside a {at(document, steps[:-2])['class_name']} cannot have another behind it."
        raise NoWay(message, steps)
    holder, index = at(document, steps[:-2]), int(steps[-1])
    taken = _names(holder)
    for call, fresh in calls:
        name = _unused(f"{_name(holder['layers'][index])}_{_snake(fresh.kind)}", taken)
        made = _layer(document, fresh, name, holder["layers"][index])
        if "output_layers" in holder:
            ref = (_name(holder["layers"][index]), call, 0)
            made |= _called(document, holder, ref, name)
            yield from _repointed(holder, steps[:-2], ref, name)
        yield Insert((*steps[:-1], index + 1), made)


def inserted_at_input(document: Json, given: str, sizes: Sequence[int | None], fresh: Fresh) -> Iterator[Edit]:
    """Yield the edits that put a layer behind an input of the model; `sizes` are those of a batch of it."""
    holder, layers = document["config"], document["config"]["layers"]
    name = _unused(f"{given}_{_snake(fresh.kind)}", _names(holder))
    if "output_layers" in holder:
        index = next(place for place, each in enumerate(layers) if _name(each) == given)
        made = _layer(document, fresh, name, layers[index])
        ref = (given, 0, 0)
        yield from _repointed(holder, ("config",), ref, name)
        yield Insert(("config", "layers", index + 1), made | _called(document, holder, ref, name))
        return
    made = _layer(document, fresh, name, layers[0])
    if layers[0]["class_name"] == "InputLayer":
        yield Insert(("config", "layers", 1), made)
        return
    shape = "batch_input_shape" if is_older(document) else "batch_shape"
    source = {shape: list(sizes), "dtype": "float32", "name": given}
    yield Insert(("config", "layers", 0), written("layers", "InputLayer", source, is_older(document)))
    yield Insert(("config", "layers", 0), made)


def _layer(document: Json, fresh: Fresh, name: str, beside: Json) -> Json:
    config = {"name": name, "trainable": True, "dtype": beside["config"].get("dtype", "float32"), **fresh.fields}
    return written("layers", fresh.kind, config, is_older(document))


def _called(document: Json, holder: Json, ref: Reference, name: str) -> Json:
    """Return the fields of a layer that reads one tensor."""
    if is_older(document):
        return {"name": name, "inbound_nodes": [[[*ref, {}]]]}
    tensor = _wires(_Held(holder)).tensors.get(ref)
    return {"name": name, "inbound_nodes": [{"args": [tensor or _tensor(document, holder, ref)], "kwargs": {}}]}


def _tensor(document: Json, holder: Json, ref: Reference) -> Json:
    """Return a tensor that no layer reads yet, as the file would write it; NoWay where its shape is not known."""
    if holder is not document["config"]:
        message = f"The file does not say the shape of what {ref[0]} gives."
        raise NoWay(message)
    description = parse(document)
    form = description.model.forms(description.call(), "")[Ref(*ref)]
    config = {"shape": [None, *form.shape], "dtype": "float32", "keras_history": [*ref]}
    return {"class_name": "__keras_tensor__", "config": config}


class _Held:
    """A model's config, the same only as itself."""

    def __init__(self, holder: Json) -> None:
        self.holder = holder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.holder is other.holder

    def __hash__(self) -> int:
        return id(self.holder)


class _Wires(NamedTuple):
    """The tensors that a model's layers read, and where each is read."""

    tensors: dict[Reference, Json]
    """As Keras 3 writes them."""
    places: dict[Reference, list[Steps]]


@lru_cache(maxsize=4)
def _wires(held: _Held) -> _Wires:
    """Return the wires of a model, found once."""
    wires, holder = _Wires({}, {}), held.holder
    for index, layer in enumerate(holder["layers"]):
        _read(layer.get("inbound_nodes"), ("layers", index, "inbound_nodes"), wires)
    _read(holder["output_layers"], ("output_layers",), wires)
    return wires


def _read(value: Any, steps: Steps, wires: _Wires) -> None:  # noqa: ANN401  JSON
    """Take in the tensors that a part of a model's config reads."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            wires.tensors.setdefault(tuple(value["config"]["keras_history"]), value)
        for step, each in value.items():
            _read(each, (*steps, step), wires)
    elif isinstance(value, list):
        if _is_reference(value):
            wires.places.setdefault((value[0], value[1], value[2]), []).append(steps)
            return
        for index, each in enumerate(value):
            _read(each, (*steps, index), wires)


def _is_reference(value: list[Any]) -> bool:
    return len(value) in {3, 4} and isinstance(value[0], str) and all(isinstance(each, int) for each in value[1:3])


def _repointed(holder: Json, steps: Steps, ref: Reference, name: str) -> Iterator[Edit]:
    """Yield the edits by which whoever reads a tensor reads that of a new layer."""
    for place in _wires(_Held(holder)).places.get(ref, ()):
        yield Put((*steps, *place, 0), name)
        if ref[1]:
            yield Put((*steps, *place, 1), 0)


def _name(layer: Json) -> str:
    return str(layer.get("name") or layer["config"].get("name"))


def _names(holder: Json) -> set[str]:
    return {_name(layer) for layer in holder["layers"]}


def _unused(stem: str, taken: set[str]) -> str:
    name = next(name for count in range(len(taken) + 1) if (name := f"{stem}_{count}" if count else stem) not in taken)
    taken.add(name)
    return name


def _snake(kind: str) -> str:
    return {"LeakyReLU": "leaky_relu"}.get(kind) or "".join(
        f"_{letter.lower()}" if letter.isupper() else letter for letter in kind
    ).lstrip("_")
