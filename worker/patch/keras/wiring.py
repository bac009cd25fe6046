"""Layers put into Keras models, Sequential and Functional, of Keras 3 and of tf.keras 2."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from service.keras import parse
from service.keras.base import Ref
from worker.patch.edits import Edit, Insert, Put, at
from worker.patch.keras.stating import Json, written
from worker.patch.places import NoWay, Steps, Stuck

Reference: TypeAlias = tuple[str, int, int]
"""A tensor as Keras names it: which output of which call of which layer."""


class Chained(Stuck):
    """A Sequential model is to become what only a Functional one is."""


class Fresh(NamedTuple):
    """A layer to be put in."""

    kind: str
    fields: Mapping[str, Any]


def is_older(document: Json) -> bool:
    """Whether a document is tf.keras 2's."""
    return "module" not in document


def inserted_behind(document: Json, steps: Steps, calls: Sequence[tuple[int, Sequence[Fresh]]]) -> Iterator[Edit]:
    """Yield the edits that put layers, one behind the other, behind each of these calls of the layer at `steps`."""
    if steps[-2] != "layers":
        message = f"A layer inside a {at(document, steps[:-2])['class_name']} cannot have another behind it."
        raise NoWay(message, steps)
    holder, index = at(document, steps[:-2]), int(steps[-1])
    taken, beside = _names(holder), holder["layers"][index]
    for call, many in calls:
        given = _Given(document, holder, steps[:-2], (name_of(beside), call, 0))
        yield from _one_by_one(given, (*steps[:-1], index + 1), many, taken, beside)


def inserted_at_input(document: Json, given: str, sizes: Sequence[int | None], many: Sequence[Fresh]) -> Iterator[Edit]:
    """Yield the edits that put layers behind an input of the model; `sizes` are those of a batch of it."""
    holder, layers = document["config"], document["config"]["layers"]
    read = _Given(document, holder, ("config",), (given, 0, 0))
    functional = "output_layers" in holder
    if functional or layers[0]["class_name"] == "InputLayer":
        index = next(place for place, each in enumerate(layers) if name_of(each) == given) if functional else 0
        yield from _one_by_one(read, ("config", "layers", index + 1), many, _names(holder), layers[index], given)
        return
    shape = "batch_input_shape" if is_older(document) else "batch_shape"
    source = {shape: list(sizes), "dtype": "float32", "name": given}
    yield Insert(("config", "layers", 0), written("layers", "InputLayer", source, is_older(document)))
    yield from _one_by_one(read, ("config", "layers", 0), many, _names(holder), layers[0], given)


def summed(document: Json, steps: Steps, call: int, past: Reference) -> Iterator[Edit]:
    """Yield the edits that put a sum of a call of the layer at `steps` and another tensor behind that call."""
    holder, index = at(document, steps[:-2]), int(steps[-1])
    beside = holder["layers"][index]
    if "output_layers" not in holder:
        message = "A Sequential model has no sums."
        raise Chained(message, steps)
    ref = (name_of(beside), call, 0)
    name = _unused(f"{name_of(beside)}_add", _names(holder))
    made = _layer(document, Fresh("Add", {}), name, beside)
    tensors = [_read_by(document, holder, each, each) for each in (past, ref)]
    nodes = [[[*each, {}] for each in (past, ref)]] if is_older(document) else [{"args": [tensors], "kwargs": {}}]
    yield Insert((*steps[:-1], index + 1), {**made, "name": name, "inbound_nodes": nodes})
    yield from _repointed(holder, steps[:-2], ref, name)


class _Given(NamedTuple):
    """A tensor behind which layers are put."""

    document: Json
    holder: Json
    steps: Steps
    ref: Reference


def _one_by_one(  # noqa: PLR0917  a tensor, a place, and what stands there
    given: _Given, steps: Steps, many: Sequence[Fresh], taken: set[str], beside: Json, stem: str = ""
) -> Iterator[Edit]:
    """Yield the edits that put layers behind a tensor, at these steps, each reading the one before."""
    read, first = given.ref, given.ref
    for fresh in many:
        name = _unused(f"{stem or name_of(beside)}_{_snake(fresh.kind)}", taken)
        made = _layer(given.document, fresh, name, beside)
        if "output_layers" in given.holder:
            made |= _called(given.document, given.holder, first, name, read)
        yield Insert(steps, made)
        read = (name, 0, 0)
    if "output_layers" in given.holder:
        yield from _repointed(given.holder, given.steps, first, read[0])


def _layer(document: Json, fresh: Fresh, name: str, beside: Json) -> Json:
    config = {"name": name, "trainable": True, "dtype": beside["config"].get("dtype", "float32"), **fresh.fields}
    return written("layers", fresh.kind, config, is_older(document))


def _called(document: Json, holder: Json, ref: Reference, name: str, read: Reference) -> Json:
    """Return the fields of a layer that reads `read`, a tensor of the shape of `ref`."""
    if is_older(document):
        return {"name": name, "inbound_nodes": [[[*read, {}]]]}
    return {"name": name, "inbound_nodes": [{"args": [_read_by(document, holder, ref, read)], "kwargs": {}}]}


def _read_by(document: Json, holder: Json, ref: Reference, read: Reference) -> Json:
    """Return `read`, a tensor of the shape of `ref`, as Keras 3 writes it; {} of an older file."""
    if is_older(document):
        return {}
    tensor = _wires(_Held(holder)).tensors.get(ref) or _tensor(document, holder, ref)
    return {**tensor, "config": {**tensor["config"], "keras_history": [*read]}}


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


def name_of(layer: Json) -> str:
    """Return what a layer is called."""
    return str(layer.get("name") or layer["config"].get("name"))


def _names(holder: Json) -> set[str]:
    return {name_of(layer) for layer in holder["layers"]}


def _unused(stem: str, taken: set[str]) -> str:
    name = next(name for count in range(len(taken) + 1) if (name := f"{stem}_{count}" if count else stem) not in taken)
    taken.add(name)
    return name


def _snake(kind: str) -> str:
    return {"LeakyReLU": "leaky_relu"}.get(kind) or "".join(
        f"_{letter.lower()}" if letter.isupper() else letter for letter in kind
    ).lstrip("_")
