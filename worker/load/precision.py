"""Graphs in another precision.

Files in half precision are examined in float32: gradients are measured where rounding does not hide them.  So are
files in float64: networks train in float32 or less, and what that hides is part of what is looked for.
"""

from collections.abc import Collection
from dataclasses import replace

import torch
from onnx import ModelProto
from torch import Tensor

from worker.network.dtypes import ONNX
from worker.network.graph import Attribute, Graph, Node

HALF = frozenset({torch.float16, torch.bfloat16})
TYPED = frozenset({"to", "dtype", "stash_type", "output_dtype", "output_datatype", "softmax_precision"})
"""Attributes whose value is the code of a type."""
NARROWED = "The file computes in float64, and is examined in float32, as networks train."
WIDENED = "The file holds {} numbers; it is examined in float32."


def in_single(graph: Graph) -> Graph:
    """Return the graph in float32, with a note of what it was in; itself where it is in float32 already."""
    return widened(_narrowed(graph))


def _narrowed(graph: Graph) -> Graph:
    """Return the graph with float32 in place of float64 where inputs or parameters are in that.

    A float64 constant alone is left: exporters compute shapes with it, which must round as in the file.
    """
    kinds = {each.dtype for each in graph.inputs} | {each.value.dtype for each in graph.parameters.values()}
    if torch.float64 not in kinds:
        return graph
    return retyped(graph, {torch.float64}, torch.float32).replace(notes=(*graph.notes, NARROWED))


def widened(graph: Graph) -> Graph:
    """Return the graph with float32 in place of float16 and bfloat16, and a note; itself where it has none."""
    kinds = {each.dtype for each in graph.constants.values()} | {each.dtype for each in graph.inputs}
    kinds = (kinds | {each.value.dtype for each in graph.parameters.values()}) & HALF
    if not kinds:
        return graph
    names = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
    wide = retyped(graph, HALF, torch.float32)
    return wide.replace(notes=(*graph.notes, WIDENED.format(names)))


def is_widened(graph: Graph) -> bool:
    """Whether the file that a graph comes from computes in another precision."""
    return any(note == NARROWED or note.endswith(WIDENED.partition("{}")[2]) for note in graph.notes)


def retyped(graph: Graph, kinds: Collection[torch.dtype], to: torch.dtype) -> Graph:
    """Return the graph with `to` in place of every type of `kinds`: tensors, inputs, and what nodes cast to."""
    codes = frozenset(ONNX[kind] for kind in kinds)

    def tensor(value: Tensor) -> Tensor:
        return _converted(value, to) if value.dtype in kinds else value

    def attribute(name: str, value: Attribute) -> Attribute:
        if isinstance(value, Graph):
            return value.replace(nodes=tuple(map(node, value.nodes)))
        if isinstance(value, Tensor):
            return tensor(value)
        return ONNX[to] if name in TYPED and value in codes else value

    def node(each: Node) -> Node:
        return replace(each, attributes={name: attribute(name, value) for name, value in each.attributes.items()})

    return graph.replace(
        nodes=tuple(map(node, graph.nodes)),
        inputs=tuple(replace(each, dtype=to) if each.dtype in kinds else each for each in graph.inputs),
        parameters={name: replace(each, value=tensor(each.value)) for name, each in graph.parameters.items()},
        constants={name: tensor(value) for name, value in graph.constants.items()},
        header=None if graph.header is None else _said(graph.header, codes, ONNX[to]),
    )


def _converted(value: Tensor, to: torch.dtype) -> Tensor:
    """Return a tensor in another type; what is finite stays so, as a mask of -1e300 must."""
    if value.dtype.itemsize <= to.itemsize:
        return value.to(to)
    most = torch.finfo(to).max
    return torch.where(value.isinf(), value, value.clamp(-most, most)).to(to)


def _said(header: ModelProto, codes: Collection[int], to: int) -> ModelProto:
    """Return what a file says of itself, its outputs in another precision."""
    said = ModelProto()
    said.CopyFrom(header)
    for output in said.graph.output:
        if output.type.tensor_type.elem_type in codes:
            output.type.tensor_type.elem_type = to
    return said
