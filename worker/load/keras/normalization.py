"""Normalizations."""

from typing import Any

import torch

from service.keras.base import Call
from service.keras.initializers import law
from service.keras.layers.normalization import (
    Affine,
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from worker.load.builder import Builder
from worker.load.drawing import keras_law
from worker.load.keras import Signal, lowers
from worker.load.keras.weights import weight
from worker.load.transposing import axes_last, axis_second
from worker.network.graph import stream
from worker.network.laws import Constant
from worker.network.ops.masked import OWN

SMALLEST = 1e-12
"""The smallest square of a length that Keras divides by."""


@lowers("BatchNormalization", "SyncBatchNormalization")
def batch_normalization(layer: BatchNormalization, build: Builder, call: Call[Signal]) -> Signal:
    """BatchNormalization, of this project's own where steps are masked; a frozen one keeps to what it knows."""
    (given,), size = call.of("inputs"), layer.learns(call.one.shape)
    gamma, beta = affine(layer, build, size)
    mean, variance = (_moving(layer, build, role, size) for role in ("moving_mean", "moving_variance"))
    masks = [each.value for each in call.of("mask")]
    if not masks and given.mask and len(given.shape) == 2:  # noqa: PLR2004  steps of features
        masks = [given.mask]
    axis, rank = layer.along(given.shape), len(given.shape) + 1

    def inside(value: str) -> str:
        inputs = (value, gamma, beta, mean, variance)
        if build.frozen or build.settled:
            return _settled(layer, build, inputs, rank)
        wide = [
            build.node("Unsqueeze", each, build.constant("channel", torch.tensor([1])), role="counted")
            for each in masks
        ]
        numbers: dict[str, Any] = {"epsilon": layer.epsilon, "momentum": layer.momentum}
        return build.node("BatchNormalization", *inputs, *wide, domain=OWN if wide else "", **numbers)

    return Signal(given.shape, value=axis_second(build, given.value, rank, axis, inside), mask=given.mask)


def _settled(layer: BatchNormalization, build: Builder, inputs: tuple[str, ...], rank: int) -> str:
    """Put down the normalization by the running statistics, in training as well."""
    sizes = build.constant("sizes", torch.tensor([-1, *(1 for _ in range(rank - 2))]))
    value, *others = inputs
    gamma, beta, mean, variance = (
        build.node("Reshape", each, sizes, role=role)
        for each, role in zip(others, ("gamma.laid", "beta.laid", "mean.laid", "variance.laid"), strict=True)
    )
    raised = build.node("Add", variance, build.constant("epsilon", torch.tensor(layer.epsilon)), role="raised")
    factor = build.node("Div", gamma, build.node("Sqrt", raised, role="deviation"), role="factor")
    centred = build.node("Sub", value, mean, role="centred")
    return build.node("Add", build.node("Mul", centred, factor, role="scaled"), beta)


@lowers("LayerNormalization")
def layer_normalization(layer: LayerNormalization, build: Builder, call: Call[Signal]) -> str:
    """LayerNormalization over the last axes, or, with rms_scaling, a division by the deviation."""
    shape, over = call.one.shape, layer.over(call.one.shape)
    size = layer.learns(shape)

    def inside(value: str, axis: int) -> str:
        if layer.rms_scaling:
            return _by_deviation(layer, build, value, size)
        gamma, beta = affine(layer, build, size)
        return build.node("LayerNormalization", value, gamma, beta, axis=axis, epsilon=layer.epsilon)

    return axes_last(build, call.one.value, len(shape) + 1, over, inside)


def _by_deviation(layer: LayerNormalization, build: Builder, value: str, size: tuple[int, ...]) -> str:
    """Put down gamma x / √(variance + epsilon) over the last axes, the mean left in."""
    axes = build.constant("axes", torch.arange(-len(size), 0))
    centred = build.node("Sub", value, build.node("ReduceMean", value, axes, role="mean"), role="centred")
    square = build.node("Mul", centred, centred, role="square")
    variance = build.node("ReduceMean", square, axes, role="variance")
    raised = build.node("Add", variance, build.constant("epsilon", torch.tensor(layer.epsilon)), role="raised")
    divided = build.node("Div", value, build.node("Sqrt", raised, role="deviation"), role="divided")
    return build.node("Mul", divided, weight(layer, build, "gamma", size))


@lowers("RMSNormalization")
def rms_normalization(layer: RMSNormalization, build: Builder, call: Call[Signal]) -> str:
    """RMSNormalization over the last axes."""
    shape, size = call.one.shape, layer.learns(call.one.shape)
    epsilon = 1e-7 if layer.epsilon is None else layer.epsilon
    scale = build.parameter("scale", Constant(size, 1.0))

    def inside(value: str, axis: int) -> str:
        return build.node("RMSNormalization", value, scale, axis=axis, epsilon=epsilon)

    return axes_last(build, call.one.value, len(shape) + 1, layer.over(shape), inside)


@lowers("GroupNormalization")
def group_normalization(layer: GroupNormalization, build: Builder, call: Call[Signal]) -> str:
    """GroupNormalization; a vector is given an axis to have one inside its groups."""
    shape = call.one.shape
    gamma, beta = affine(layer, build, layer.learns(shape))
    groups = layer.count(shape)

    def inside(value: str) -> str:
        return build.node("GroupNormalization", value, gamma, beta, num_groups=groups, epsilon=layer.epsilon)

    if len(shape) > 1:
        return axis_second(build, call.one.value, len(shape) + 1, layer.along(shape), inside)
    axes = build.constant("axes", torch.tensor([2]))
    return build.node("Squeeze", inside(build.node("Unsqueeze", call.one.value, axes, role="wide")), axes, role="back")


@lowers("UnitNormalization")
def unit_normalization(layer: UnitNormalization, build: Builder, call: Call[Signal]) -> str:
    """Divide by the length, or by its least."""
    axes = build.constant("axes", torch.tensor(layer.over(call.one.shape)))
    square = build.node("ReduceSumSquare", call.one.value, axes, role="square", keepdims=1)
    bounded = build.node("Max", square, build.constant("least", torch.tensor(SMALLEST)), role="bounded")
    return build.node("Div", call.one.value, build.node("Sqrt", bounded, role="length"))


def affine(layer: Affine, build: Builder, size: tuple[int, ...]) -> tuple[str, str]:
    """Return the values of gamma and beta: weights, or constants where there are none."""
    gamma = weight(layer, build, "gamma", size) if layer.scale else build.constant("gamma", torch.ones(size))
    beta = weight(layer, build, "beta", size) if layer.center else build.constant("beta", torch.zeros(size))
    return gamma, beta


def _moving(layer: BatchNormalization, build: Builder, role: str, size: tuple[int, ...]) -> str:
    """Put down running statistics as they start."""
    at = f"{build.pointer}/config/{role}_initializer"
    spec = law(getattr(layer, f"{role}_initializer"), at)
    drawn = keras_law(spec, size, at=at)(stream(build.parts.seed or 0, f"{build.path}.{role}"))
    return build.constant(role, drawn)
