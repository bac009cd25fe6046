"""Layers that hold layers."""

import torch

from service.contract.architecture import Repeat, Residual, Shape
from service.contract.architecture.base import IMAGE
from service.contract.architecture.container import chained
from worker.load.builder import Builder
from worker.load.drawing import law_of
from worker.load.lowering import lower_chain, lowering
from worker.network.laws import fans, torch_default


@lowering("residual")
def residual(layer: Residual, build: Builder, value: str, shape: Shape) -> str:
    """Add the inner chain to the input, or to its projection."""
    after = chained(layer.layers, shape, "")
    branch = lower_chain(layer.layers, build, value, shape)
    if layer.scale != 1:
        branch = build.node("Mul", branch, build.constant("factor", torch.tensor(layer.scale)), role="scale")
    straight = value if after == shape else _projected(layer, build, value, shape, after)
    return build.node("Add", straight, branch)


def _projected(layer: Residual, build: Builder, value: str, shape: Shape, after: Shape) -> str:
    image = len(shape) == IMAGE
    size = (after[0], shape[0], 1, 1) if image else (shape[-1], after[-1])
    fan = fans(size, "Conv" if image else "MatMul")
    law = law_of(layer.init.kernel, size, fan, torch_default(size, fan))
    kernel = build.parameter("projection.kernel", law)
    if not image:
        return build.node("MatMul", value, kernel, role="projection")
    strides = layer.strides(shape, after) or (1, 1)
    return build.node("Conv", value, kernel, role="projection", kernel_shape=(1, 1), strides=strides)


@lowering("repeat")
def repeat(layer: Repeat, build: Builder, value: str, shape: Shape) -> str:
    """Put the inner chain down `times` times; the nodes of the third time stand under `layers/2[2]`."""
    for time in range(layer.times):
        value = lower_chain(layer.layers, build.again(time, layer.times), value, shape)
        shape = chained(layer.layers, shape, "")
    return value
