"""Which runs are trained together: those of networks that differ in their weights alone, where it is faster."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Graph, Node
from worker.subject import Subject

FEWEST: Final = 9
"""Runs that are trained together at least: three seeds at three rates (three runs gain 0.8 to 1.7 times the speed)."""
LARGEST: Final = 2**22
"""Most numbers that the stacked weights may hold; an optimizer and the gradients hold three times as many."""
HEAVY: Final = 2**16
"""Most of them per node: above, memory is what a step waits for (measured: 1.2 to 1.4 times the speed)."""
BUSY: Final = 4e-5
"""Planned seconds per node of a pass from which arithmetic outweighs the starting of operators.

Measured on one core: up to here 1.5 to 3.4 times the speed, at five times as much 1.0 and at ten times 0.7.
"""
LONGEST: Final = 8e-3
"""Planned seconds of a pass above which what nine runs keep for the way back may be hundreds of megabytes."""
_ARITHMETIC: Final = frozenset(
    {"Abs", "Add", "Cast", "Clip", "Cos", "Div", "Einsum", "Erf", "Exp", "Gemm", "Identity", "Log", "MatMul", "Max"}
    | {"Mean", "Min", "Mul", "Neg", "Pow", "Reciprocal", "Sigmoid", "Sin", "Sqrt", "Sub", "Sum", "Where"}
)
_ACTIVATIONS: Final = frozenset(
    {"Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "LogSoftmax", "Mish", "PRelu", "Relu", "Selu"}
    | {"Softmax", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu"}
)
_NORMS: Final = frozenset(
    {"BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization"}
    | {"RMSNormalization", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "ReduceSumSquare"}
)
_SHAPES: Final = frozenset(
    {"Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather", "Reshape", "Shape", "Slice", "Split"}
    | {"Squeeze", "Transpose", "Unsqueeze"}
)
_IMAGES: Final = frozenset({"AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
OPERATORS: Final = _ARITHMETIC | _ACTIVATIONS | _NORMS | _SHAPES | _IMAGES
"""Operators that torch computes for stacked weights, and that neither draw nor choose by what they are given."""


def worthwhile(subject: Subject, runs: int) -> bool:
    """Whether so many runs, of several seeds, are trained faster together than one after another."""
    graph = subject.graph
    held = runs * sum(parameter.value.numel() for parameter in graph.parameters.values())
    return (
        runs >= FEWEST
        and held <= min(LARGEST, HEAVY * len(graph.nodes))
        and subject.pass_s <= min(LONGEST, BUSY * len(graph.nodes))
        and all(node.op in OPERATORS and not node.domain for node in graph.nodes)
        and any(parameter.trainable for parameter in graph.parameters.values())
    )


def alike(one: Subject, other: Subject) -> bool:
    """Whether two subjects differ in the values of their weights, and in how they are stepped, alone."""
    return (
        _same_graph(one.graph, other.graph)
        and (one.loss, one.output, one.mode) == (other.loss, other.output, other.mode)
        and one.settings.loss_scale == other.settings.loss_scale
        and one.device == other.device
        and _equal(one.batch.inputs, other.batch.inputs)
        and _equal(one.target, other.target)
    )


def _same_graph(one: Graph, other: Graph) -> bool:
    return (
        (one.inputs, one.outputs, one.opsets) == (other.inputs, other.outputs, other.opsets)
        and len(one.nodes) == len(other.nodes)
        and all(map(_same_node, one.nodes, other.nodes))
        and _equal(one.constants, other.constants)
        and _parameters(one) == _parameters(other)
    )


def _same_node(one: Node, other: Node) -> bool:
    said = [(node.op, node.domain, node.inputs, node.outputs) for node in (one, other)]
    return one is other or (said[0] == said[1] and _equal(one.attributes, other.attributes))


def _parameters(graph: Graph) -> dict[str, object]:
    """Return what is to be said of each parameter beside its values."""
    return {name: (each.value.shape, each.trainable, each.penalty) for name, each in graph.parameters.items()}


def _equal(one: object, other: object) -> bool:
    """Whether tensors, or what holds them by name, are the same in every number."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one is other or (one.dtype == other.dtype and torch.equal(one, other))
    return type(one) is type(other) and one == other
