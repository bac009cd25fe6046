"""Tensors that a model keeps in files beside it: only those that were handed over under their declared names."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

from service.contract.problem import UnreadableModel


def fetch(model: ModelProto, external: Mapping[str, Path]) -> None:
    """Fill in every tensor whose numbers lie in another file; UnreadableModel where one is missing or too short."""
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            _fill(tensor, external)


def _fill(tensor: TensorProto, external: Mapping[str, Path]) -> None:
    said = {each.key: each.value for each in tensor.external_data}
    location = said.get("location", "")
    if location not in external:
        msg = (
            f"The tensor {tensor.name!r} lies in the file {location!r}, which did not come with the model: send it as "
            "a further part `data` (on the command line, --data FILE), or export with external_data=False."
        )
        raise UnreadableModel(msg)
    tensor.raw_data = _bytes(tensor.name, external[location], said)
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _bytes(name: str, path: Path, said: Mapping[str, str]) -> bytes:
    size = path.stat().st_size
    try:
        offset = int(said.get("offset", 0))
        length = int(said.get("length", size - offset))
    except ValueError as error:
        msg = f"The tensor {name!r} does not say where in {path.name!r} it lies."
        raise UnreadableModel(msg) from error
    if offset < 0 or length < 0 or offset + length > size:
        msg = f"The tensor {name!r} lies at bytes {offset} to {offset + length} of a file of {size}."
        raise UnreadableModel(msg)
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_attributes(function.attribute_proto)
        for node in function.node:
            yield from _of_attributes(node.attribute)


def _of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        yield from _of_attributes(node.attribute)


def _of_attributes(attributes: Iterable[AttributeProto]) -> Iterator[TensorProto]:
    for attribute in attributes:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("g"):
            yield from _of_graph(attribute.g)
