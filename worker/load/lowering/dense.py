"""Dense and bilinear layers, and tables."""

from collections.abc import Sequence
from math import sqrt

import torch

from service.contract.architecture import Init, Shape, Signal
from service.contract.architecture.dense import Bilinear, Dense, Embedding
from worker.load.builder import Builder
from worker.load.drawing import law_of
from worker.load.lowering import joining, lowering
from worker.network.graph import Law
from worker.network.laws import Fans, Normal, Uniform, torch_default


@lowering("dense")
def dense(layer: Dense, build: Builder, value: str, shape: Shape) -> str:
    """Gemm on vectors, MatMul and Add on sequences."""
    return affine(build, value, shape, layer.units, layer.init, bias=layer.bias)


@joining("bilinear")
def bilinear(layer: Bilinear, build: Builder, values: Sequence[str], signals: Sequence[Signal]) -> str:
    """Einsum; PyTorch draws kernel and bias by the features of the first value alone."""
    one, other = (each.shape[-1] for each in signals)
    fan = Fans(one * other, layer.units * other)
    bound = 1 / sqrt(one)

    def law(part: str, size: Shape) -> Law:
        spec = layer.init.kernel if part == "kernel" else layer.init.bias_law
        return law_of(spec, size, fan, Uniform(size, -bound, bound))

    kernel = build.parameter("kernel", law("kernel", (layer.units, one, other)))
    axes = "b" if len(signals[0].shape) == 1 else "bt"
    product = build.node("Einsum", values[0], kernel, values[1], equation=f"{axes}i,kij,{axes}j->{axes}k")
    if not layer.bias:
        return product
    return build.node("Add", product, build.parameter("bias", law("bias", (layer.units,))), role="add")


@lowering("embedding")
def embedding(layer: Embedding, build: Builder, value: str, shape: Shape) -> str:
    """Gather rows of a table, which PyTorch draws from the standard normal; zeros where a token fills up."""
    size = (layer.classes, layer.dim)
    law = law_of(layer.init.kernel, size, Fans(1, layer.dim), Normal(size, 1.0), "table")
    table = build.parameter("kernel", law)
    rows = build.node("Gather", table, value, axis=0)
    if layer.padding is None:
        return rows
    filler = build.node("Equal", value, build.constant("padding", torch.tensor(layer.padding)), role="filler")
    last = build.constant("last", torch.tensor([-1]))
    blank = build.node("Unsqueeze", filler, last, role="blank")
    return build.node("Where", blank, build.constant("zero", torch.tensor(0.0)), rows, role="filled")


def affine(build: Builder, value: str, shape: Shape, units: int, init: Init, *, bias: bool) -> str:
    """Put down x K + b along the last axis, K of the shape (features, units)."""
    fan = Fans(shape[-1], units)
    size = (shape[-1], units)
    kernel = build.parameter("kernel", law_of(init.kernel, size, fan, torch_default(size, fan)))
    shift = [build.parameter("bias", bias_law(init, (units,), fan))] if bias else []
    if len(shape) == 1:
        return build.node("Gemm", value, kernel, *shift)
    product = build.node("MatMul", value, kernel)
    return build.node("Add", product, *shift, role="add") if bias else product


def bias_law(init: Init, size: Shape, fan: Fans) -> Law:
    """Return the law of a bias whose kernel has these fans."""
    return law_of(init.bias_law, size, fan, torch_default(size, fan))
