"""Layers that join several values."""

from collections.abc import Sequence

import torch

from service.contract.architecture import Signal
from service.contract.architecture.merging import Concat, Difference, Dot, Elementwise, Matmul
from worker.load.builder import Builder
from worker.load.lowering import joining

_OPERATORS = {
    "add": "Sum",
    "average": "Mean",
    "maximum": "Max",
    "minimum": "Min",
    "subtract": "Sub",
    "divide": "Div",
}


@joining(*_OPERATORS)
def elementwise(layer: Elementwise | Difference, build: Builder, values: Sequence[str], _: Sequence[Signal]) -> str:
    """Put down the operator of the same name."""
    return build.node(_OPERATORS[layer.kind], *values)


@joining("multiply")
def multiply(layer: Elementwise, build: Builder, values: Sequence[str], _: Sequence[Signal]) -> str:
    """Mul, one for each value behind the first."""
    product, *others = values
    for index, value in enumerate(others, 2):
        product = build.node("Mul", product, value, role="" if index == len(values) else f"product{index}")
    return product


@joining("concat")
def concat(layer: Concat, build: Builder, values: Sequence[str], signals: Sequence[Signal]) -> str:
    """Concat."""
    return build.node("Concat", *values, axis=layer.along(signals[0].shape) + 1)


@joining("dot")
def dot(layer: Dot, build: Builder, values: Sequence[str], _: Sequence[Signal]) -> str:
    """Mul and ReduceSum, perhaps of values divided by their lengths."""
    if layer.normalize:
        values = [build.node("LpNormalization", each, role=f"unit{index}") for index, each in enumerate(values)]
    last = build.constant("axes", torch.tensor([-1]))
    return build.node("ReduceSum", build.node("Mul", *values, role="product"), last, keepdims=1)


@joining("matmul")
def matmul(layer: Matmul, build: Builder, values: Sequence[str], signals: Sequence[Signal]) -> str:
    """MatMul, the second perhaps transposed."""
    one, other = values
    if layer.transpose:
        rank = len(signals[1].shape) + 1
        other = build.node("Transpose", other, role="turned", perm=(*range(rank - 2), rank - 1, rank - 2))
    return build.node("MatMul", one, other)
