"""Layers that hold layers."""

from collections.abc import Sequence

import torch

from service.contract.architecture import Repeat, Residual, Shape, Signal
from service.contract.architecture.base import IMAGE
from service.contract.architecture.branching import Gated, Parallel
from service.contract.architecture.container import Block
from service.contract.architecture.wiring import chained
from worker.load.builder import Builder
from worker.load.drawing import law_of
from worker.load.lowering import joining, lower_chain, lower_nodes, lowering
from worker.network.laws import Constant, fans, torch_default


@lowering("residual")
def residual(layer: Residual, build: Builder, value: str, shape: Shape) -> str:
    """Add the inner chain to the input, or to its projection."""
    after = chained(layer.layers, Signal(shape), "").shape
    branch = lower_chain(layer.layers, build, value, Signal(shape))
    if layer.scale != 1:
        branch = build.node("Mul", branch, build.constant("factor", torch.tensor(layer.scale)), role="scale")
    if layer.gate is not None:
        branch = build.node("Mul", branch, build.parameter("gate", Constant((1,), layer.gate)), role="gated")
    straight = value if after == shape else _projected(layer, build, value, shape, after)
    return build.node("Add", straight, branch)


def _projected(layer: Residual, build: Builder, value: str, shape: Shape, after: Shape) -> str:
    image = len(shape) >= IMAGE
    window = (1,) * (len(shape) - 1)
    size = (after[0], shape[0], *window) if image else (shape[-1], after[-1])
    fan = fans(size, "Conv" if image else "MatMul")
    law = law_of(layer.init.kernel, size, fan, torch_default(size, fan))
    kernel = build.parameter("projection.kernel", law)
    if not image:
        return build.node("MatMul", value, kernel, role="projection")
    strides = layer.strides(shape, after) or window
    return build.node("Conv", value, kernel, role="projection", kernel_shape=window, strides=strides)


@joining("repeat")
def repeat(layer: Repeat, build: Builder, values: Sequence[str], signals: Sequence[Signal]) -> str:
    """Put the inner chain down `times` times; the nodes of the third time stand under `layers/2[2]`."""
    (value,), (signal,) = values, signals
    for time in range(layer.times):
        value = lower_chain(layer.layers, build.again(time, layer.times, shared=layer.shared), value, signal)
        signal = chained(layer.layers, signal, "")
    return value


@lowering("parallel")
def parallel(layer: Parallel, build: Builder, value: str, shape: Shape) -> str:
    """Put the branches down and merge them."""
    ends = [
        lower_chain(branch, build, value, Signal(shape), f"branches/{index}")
        for index, branch in enumerate(layer.branches)
    ]
    if layer.merge == "concat":
        return build.node("Concat", *ends, axis=1 if len(shape) >= IMAGE else -1)
    if layer.merge == "multiply":
        value = ends[0]
        for index, end in enumerate(ends[1:], 1):
            value = build.node("Mul", value, end, role="" if end is ends[-1] else f"product{index}")
        return value
    return build.node("Sum" if layer.merge == "add" else "Mean", *ends)


@lowering("gated")
def gated(layer: Gated, build: Builder, value: str, shape: Shape) -> str:
    """Multiply the chain by the gate's sigmoid; the rest of the gate carries the input."""
    inside = lower_chain(layer.layers, build, value, Signal(shape))
    gate = build.node("Sigmoid", lower_chain(layer.gate, build, value, Signal(shape), "gate"), role="gate")
    if not layer.carry:
        return build.node("Mul", inside, gate)
    transformed = build.node("Mul", inside, gate, role="transformed")
    rest = build.node("Sub", build.constant("one", torch.tensor(1.0)), gate, role="rest")
    return build.node("Add", transformed, build.node("Mul", value, rest, role="carried"))


@joining("block")
def block(layer: Block, build: Builder, values: Sequence[str], signals: Sequence[Signal]) -> str:
    """Put the nodes down."""
    given = dict(zip(layer.takes, values, strict=True))
    names = [node.name for node in layer.nodes]
    return lower_nodes(layer.steps(tuple(signals), build.pointer), names, build, given)[layer.last]
