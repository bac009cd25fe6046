"""Activations along an axis."""

import torch

from service.contract.architecture import Shape
from service.contract.architecture.softmax import Glu, Softmax, Sparsemax
from worker.load.builder import Builder
from worker.load.lowering import lowering


@lowering("softmax", "log_softmax", "softmin")
def softmax(layer: Softmax, build: Builder, value: str, shape: Shape) -> str:
    """Softmax or LogSoftmax."""
    axis = layer.along(shape) + 1
    if layer.kind == "softmin":
        value = build.node("Neg", value, role="turned")
    return build.node("LogSoftmax" if layer.kind == "log_softmax" else "Softmax", value, axis=axis)


@lowering("sparsemax")
def sparsemax(layer: Sparsemax, build: Builder, value: str, shape: Shape) -> str:
    """max(x - τ, 0)."""
    axis = layer.along(shape)
    return sparse_shares(build, value, axis + 1, shape[axis], len(shape) + 1)


def sparse_shares(build: Builder, value: str, axis: int, size: int, rank: int) -> str:
    """Put down sparsemax along an axis of this size.

    With x in descending order, k is the last place where 1 + k xₖ is above the sum of the k largest; that sum less 1,
    over k, is τ (Martins and Astudillo 2016, algorithm 1).
    """
    one, along = build.constant("one", torch.tensor(1.0)), build.constant("axis", torch.tensor([axis]))
    places = torch.arange(1.0, size + 1).reshape(-1, *(1 for _ in range(rank - axis - 1)))
    count = build.constant("size", torch.tensor([size]))
    order, _ = build.nodes("TopK", value, count, role="order", outputs=("out", "places"), axis=axis)
    sums = build.node("CumSum", order, build.constant("along", torch.tensor(axis)), role="sums")
    scaled = build.node("Mul", order, build.constant("places", places), role="scaled")
    within = build.node("Greater", build.node("Add", scaled, one, role="raised"), sums, role="within")
    inside = build.node("Cast", within, role="inside", to=1)
    number = build.node("ReduceSum", inside, along, role="number", keepdims=1)
    largest = build.node("ReduceSum", build.node("Mul", order, inside, role="kept"), along, role="largest", keepdims=1)
    tau = build.node("Div", build.node("Sub", largest, one, role="rest"), number, role="tau")
    return build.node("Relu", build.node("Sub", value, tau, role="lowered"))


@lowering("glu")
def glu(layer: Glu, build: Builder, value: str, shape: Shape) -> str:
    """Split, and Mul of the first half by the gate."""
    axis = layer.along(shape)
    sizes = build.constant("sizes", torch.tensor([shape[axis] // 2] * 2))
    first, second = build.nodes("Split", value, sizes, role="halves", outputs=("first", "second"), axis=axis + 1)
    return build.node("Mul", first, _gate(layer, build, second))


def _gate(layer: Glu, build: Builder, value: str) -> str:
    if layer.gate == "none":
        return value
    if layer.gate == "silu":
        return build.node("Mul", value, build.node("Sigmoid", value, role="sigmoid"), role="gate")
    operator = {"sigmoid": "Sigmoid", "gelu": "Gelu", "relu": "Relu", "tanh": "Tanh"}[layer.gate]
    return build.node(operator, value, role="gate")
