"""A parsed ONNX model as a graph, every tensor of it a constant yet."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

import onnx
import torch
from onnx import ModelProto, TensorProto, TensorShapeProto, ValueInfoProto

from service.contract.problem import UnreadableModel, UnsupportedModel
from worker.network import proto
from worker.network.dtypes import dtype
from worker.network.functions import Functions, functions, written_out
from worker.network.graph import Graph, Input, Node, names
from worker.network.header import header
from worker.network.hoist import folded, hoisted

LARGEST_VERSION = 2**31
UNSTATED = "com.microsoft"
"""The domain whose version onnxruntime takes for the first where a file does not state it."""
OVERWRITTEN = "consumed_inputs"
"""Said until version 5 which inputs an operator may overwrite: how it computes, not what."""


def interpret(model: ModelProto) -> Graph:
    """Return the graph of a model whose tensors are all in it; UnreadableModel, UnsupportedModel or TooComplex."""
    graph = _graph(model, functions(model))
    _check_order(graph)
    return graph


def _opsets(model: ModelProto) -> dict[str, int]:
    opsets = {proto.domain(each.domain): each.version for each in model.opset_import} or {"": 1}
    if any(node.domain == UNSTATED for node in model.graph.node):
        opsets.setdefault(UNSTATED, 1)
    newest = onnx.defs.onnx_opset_version()
    version = opsets.get("", 1)
    if not 1 <= version <= newest:
        msg = f"The model uses version {version} of ONNX's operators; 1 to {newest} are supported."
        raise UnsupportedModel(msg)
    absurd = [name for name, each in opsets.items() if not 0 < each < LARGEST_VERSION]
    if absurd:
        msg = f"The model uses version {opsets[absurd[0]]} of the domain {absurd[0]!r}; no such version is possible."
        raise UnreadableModel(msg)
    return opsets


def _graph(model: ModelProto, known: Functions) -> Graph:
    graph = model.graph
    constants, texts = proto.initial(graph)
    written = [*texts, *(each for node in graph.node for each in written_out(node, known))]
    taken = {*constants, *(each.name for each in graph.input), *(name for node in written for name in node.outputs)}
    nodes = [hoisted(_without_hints(node), constants, taken) for node in written]
    held = {*constants, *(name for node in texts for name in node.outputs)}
    return Graph(
        nodes=tuple(_named(folded(nodes, constants))),
        inputs=tuple(_input(each) for each in graph.input if each.name not in held),
        outputs=tuple(proto.legible(each.name) for each in graph.output),
        parameters={},
        constants=constants,
        opsets=_opsets(model),
        header=header(model),
    )


def _without_hints(node: Node) -> Node:
    if node.domain or OVERWRITTEN not in node.attributes:
        return node
    return replace(node, attributes={name: value for name, value in node.attributes.items() if name != OVERWRITTEN})


FORMS: Mapping[str, Literal["tensor", "sequence", "optional"]] = {
    "tensor_type": "tensor",
    "sequence_type": "sequence",
    "optional_type": "optional",
}


def _input(value: ValueInfoProto) -> Input:
    """Return an input; UnsupportedModel where it is a map, a sparse tensor or nothing at all."""
    name = proto.legible(value.name)
    which = value.type.WhichOneof("value") or "no type"
    if which not in FORMS:
        msg = f"The input {name!r} is not a tensor ({which})."
        raise UnsupportedModel(msg)
    if FORMS[which] != "tensor":
        return Input(name, torch.float32, (), form=FORMS[which])
    kind = value.type.tensor_type
    if kind.elem_type == TensorProto.STRING:
        return Input(name, torch.float32, (), form="text")
    return Input(name, dtype(kind.elem_type), tuple(map(_size, kind.shape.dim)), ranked=kind.HasField("shape"))


def _size(axis: TensorShapeProto.Dimension) -> int | str:
    """Return an axis's size, or its name where it is free; some exporters write -1 for that."""
    said = axis.HasField("dim_value") and axis.dim_value >= 0
    return int(axis.dim_value) if said else str(axis.dim_param) or "?"


def _named(nodes: Iterator[Node]) -> Iterator[Node]:
    """Yield the nodes, each with a name that no other has."""
    taken: Counter[str] = Counter()
    for place, node in enumerate(nodes):
        name = node.name or f"{node.op}_{place}"
        taken[name] += 1
        while taken[name] > 1:
            name = f"{name}_{place}"
            taken[name] += 1
        yield replace(node, name=name)


def _check_order(graph: Graph) -> None:
    """Refuse a graph that reads a value before it is written, or writes one twice."""
    seen = {*graph.constants, *(each.name for each in graph.inputs)}
    for node in graph.nodes:
        _check_node(node, seen)
        seen.update(names(node.outputs))
    absent = [name for name in graph.outputs if name not in seen]
    if absent:
        msg = f"The model's output {absent[0]!r} is written by no node."
        raise UnreadableModel(msg)


def _check_node(node: Node, seen: set[str]) -> None:
    for name in names(node.inputs):
        if name not in seen:
            msg = f"The node {node.name!r} ({node.op}) reads {name!r}, which nothing before it writes."
            raise UnreadableModel(msg)
    for name in names(node.outputs):
        if name in seen:
            msg = f"The node {node.name!r} ({node.op}) writes {name!r}, which is written already."
            raise UnreadableModel(msg)
