"""ONNX's protobufs as nodes and tensors."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from onnx import AttributeProto, GraphProto, NodeProto, SparseTensorProto, TensorProto, numpy_helper
from torch import Tensor

from service.contract.problem import UnreadableModel, UnsupportedModel
from worker.network import arrays, elsewhere
from worker.network.dtypes import dtype
from worker.network.graph import Attribute, Graph, Input, Node, Text
from worker.network.sparse import dense

Value: TypeAlias = Tensor | arrays.Array | list[Any] | None
"""What a name may stand for: a tensor, an array of text, a sequence of values, or None for an optional left absent."""

TEXT = frozenset("OUST")
"""numpy's kinds of text."""

SPARSE = "sparse_"
"""Begins the name of an attribute of `Constant` that holds a sparse tensor, and is dropped: it is written out."""


def value(given: object) -> Value:
    """Return a value of numpy's, a tensor's protobuf, or a sequence of such, as our interpreter holds it."""
    if given is None or isinstance(given, Tensor):
        return given
    if isinstance(given, TensorProto):
        return tensor(given)
    if isinstance(given, (list, tuple)):
        return [value(each) for each in given]
    held = np.asarray(given)
    return held.astype(object) if held.dtype.kind in TEXT else arrays.tensor(held)


def array(held: Value) -> Any:  # noqa: ANN401  an array, a list of such, or None
    """Return a value as numpy has it, in its own ONNX type; a sequence as a list, an absent optional as None."""
    if isinstance(held, (list, tuple)):
        return [array(each) for each in held]
    return arrays.array(held) if isinstance(held, Tensor) else held


def tensor(proto: TensorProto, base: str = "") -> Tensor:
    """Return a tensor of the file's own type; UnreadableModel where its numbers do not fit its shape."""
    dtype(proto.data_type)
    elsewhere.shape(proto)
    if proto.data_location == TensorProto.EXTERNAL:
        if (found := elsewhere.tensor(proto)) is not None:
            return found
        proto = elsewhere.inlined(proto)
    return arrays.tensor(_values(proto, base))


def _values(proto: TensorProto, base: str = "") -> arrays.Array:
    try:
        return np.asarray(numpy_helper.to_array(proto, base))
    except Exception as error:
        msg = f"The tensor {proto.name!r} cannot be read: {error}"
        raise UnreadableModel(msg) from error


def tensor_or_text(proto: TensorProto) -> Tensor | Text:
    """Return a tensor, or an array of strings where it holds such."""
    return _values(proto).astype(object) if proto.data_type == TensorProto.STRING else tensor(proto)


def sparse(proto: SparseTensorProto) -> Tensor:
    """Return a sparse tensor written out; UnreadableModel or TooComplex where that cannot be."""
    return dense(tensor(proto.values), tensor(proto.indices), tuple(proto.dims), proto.values.name)


def initial(proto: GraphProto) -> tuple[dict[str, Tensor], list[Node]]:
    """Return the tensors that a graph starts from, by name; and nodes that make those of text."""
    written = {legible(each.name): each for each in proto.initializer}
    texts = {key: each for key, each in written.items() if each.data_type == TensorProto.STRING}
    held = {key: tensor(each) for key, each in written.items() if key not in texts}
    held |= {legible(each.values.name): sparse(each) for each in proto.sparse_initializer}
    return held, [Node("Constant", (), (key,), key, {"value": tensor_or_text(each)}) for key, each in texts.items()]


def domain(name: str) -> str:
    """Return a domain's short name: "" is ai.onnx."""
    return "" if name == "ai.onnx" else name


def node(proto: NodeProto, given: Mapping[str, Attribute]) -> Node:
    """Return a node; `given` are the attributes of the function call around it, if any."""
    return Node(
        op=legible(proto.op_type),
        inputs=tuple(map(legible, proto.input)),
        outputs=tuple(map(legible, proto.output)),
        name=legible(proto.name),
        attributes=attributes(proto.attribute, given),
        domain=domain(legible(proto.domain)),
    )


def legible(given: str | bytes) -> str:
    """Return a name; UnreadableModel where its bytes are no text, which protobuf hands over as they are."""
    if isinstance(given, bytes):
        msg = f"The file holds a name that is not text: {given[:40]!r}."
        raise UnreadableModel(msg)
    return given


def subgraph(proto: GraphProto, given: Mapping[str, Attribute]) -> Graph:
    """Return an attribute's graph: what it does not hold itself it reads from the graph around it."""
    held, texts = initial(proto)
    return Graph(
        nodes=(*texts, *(node(each, given) for each in proto.node)),
        inputs=tuple(argument(legible(each.name)) for each in proto.input),
        outputs=tuple(legible(each.name) for each in proto.output),
        parameters={},
        constants=held,
    )


def argument(name: str) -> Input:
    """Return an input of a graph inside a graph, which takes whatever it is given."""
    return Input(name, torch.float32, (), form="any")


def attributes(protos: Iterable[AttributeProto], given: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Return attributes by name; those that refer to a function's own take their value from `given`."""
    found = {}
    for proto in protos:
        if not proto.ref_attr_name:
            found[legible(proto.name).removeprefix(SPARSE)] = attribute(proto, given)
        elif proto.ref_attr_name in given:
            found[legible(proto.name)] = given[proto.ref_attr_name]
    return found


def attribute(proto: AttributeProto, given: Mapping[str, Attribute]) -> Attribute:
    """Return an attribute's value; UnsupportedModel where it is of a kind that no operator here takes."""
    plain: dict[int, Callable[[], Attribute]] = {
        AttributeProto.INT: lambda: int(proto.i),
        AttributeProto.FLOAT: lambda: float(proto.f),
        AttributeProto.STRING: lambda: _text(proto.s),
        AttributeProto.INTS: lambda: tuple(int(each) for each in proto.ints),
        AttributeProto.FLOATS: lambda: tuple(float(each) for each in proto.floats),
        AttributeProto.STRINGS: lambda: tuple(_text(each) for each in proto.strings),
        AttributeProto.TENSOR: lambda: tensor_or_text(proto.t),
        AttributeProto.SPARSE_TENSOR: lambda: sparse(proto.sparse_tensor),
        AttributeProto.GRAPH: lambda: subgraph(proto.g, given),
        AttributeProto.TYPE_PROTO: lambda: proto.tp,
    }
    if proto.type not in plain:
        msg = f"The attribute {proto.name!r} is of a kind ({proto.type}) that is not supported."
        raise UnsupportedModel(msg)
    return plain[proto.type]()


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
