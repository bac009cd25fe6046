"""Graphs in another precision."""

from collections.abc import Collection
from dataclasses import replace

import torch
from onnx import ModelProto
from torch import Tensor

from worker.network.dtypes import ONNX
from worker.network.graph import Attribute, Graph, Node

TYPED = frozenset({"to", "dtype", "stash_type", "output_dtype", "output_datatype", "softmax_precision"})
"""Attributes whose value is the code of a type."""


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
