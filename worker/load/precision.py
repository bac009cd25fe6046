"""Files in half precision, examined in float32: gradients are measured where rounding does not hide them."""

from dataclasses import replace

import torch
from onnx import TensorProto
from torch import Tensor

from worker.network.graph import Attribute, Graph, Input, Node, Parameter

HALF = frozenset({torch.float16, torch.bfloat16})
CODES = frozenset({int(TensorProto.FLOAT16), int(TensorProto.BFLOAT16)})
TYPED = frozenset({"to", "dtype", "stash_type", "output_dtype", "output_datatype", "softmax_precision"})
"""Attributes whose value is the code of a type."""


def widened(graph: Graph) -> Graph:
    """Return the graph with float32 in place of float16 and bfloat16, and a note; itself where it has none."""
    kinds = {each.dtype for each in graph.constants.values()} | {each.dtype for each in graph.inputs}
    kinds = (kinds | {each.value.dtype for each in graph.parameters.values()}) & HALF
    if not kinds:
        return graph
    names = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
    wide = graph.replace(
        nodes=tuple(map(_node, graph.nodes)),
        inputs=tuple(map(_input, graph.inputs)),
        parameters={name: _parameter(each) for name, each in graph.parameters.items()},
        constants={name: _tensor(value) for name, value in graph.constants.items()},
    )
    return wide.replace(notes=(*graph.notes, f"The file holds {names} numbers; it is examined in float32."))


def _tensor(value: Tensor) -> Tensor:
    return value.float() if value.dtype in HALF else value


def _parameter(parameter: Parameter) -> Parameter:
    return replace(parameter, value=_tensor(parameter.value))


def _input(given: Input) -> Input:
    return replace(given, dtype=torch.float32) if given.dtype in HALF else given


def _node(node: Node) -> Node:
    return replace(node, attributes={name: _attribute(name, value) for name, value in node.attributes.items()})


def _attribute(name: str, value: Attribute) -> Attribute:
    if isinstance(value, Graph):
        return value.replace(nodes=tuple(map(_node, value.nodes)))
    if isinstance(value, Tensor):
        return _tensor(value)
    return int(TensorProto.FLOAT) if name in TYPED and value in CODES else value
