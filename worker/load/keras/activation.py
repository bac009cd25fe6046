"""Activations as layers of their own, with numbers or weights."""

from collections.abc import Sequence

import torch

from service.keras.base import Call
from service.keras.layers.activation import ELU, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU
from worker.load.builder import Builder
from worker.load.formulas import put
from worker.load.keras import Signal, lowers
from worker.load.keras.weights import sizes, weight

MASKED = -1e9
"""What Keras puts in place of a logit that is masked."""


@lowers("ReLU")
def rectifier(layer: ReLU, build: Builder, call: Call[Signal]) -> str:
    """Relu, LeakyRelu, Clip, or a difference of rectifiers."""
    slope, threshold = layer.negative_slope or 0, layer.threshold or 0
    return put("relu", build, call.one.value, negative_slope=slope, max_value=layer.max_value, threshold=threshold)


@lowers("LeakyReLU")
def leaky(layer: LeakyReLU, build: Builder, call: Call[Signal]) -> str:
    """LeakyRelu."""
    return put("leaky_relu", build, call.one.value, negative_slope=layer.negative_slope)


@lowers("ELU")
def elu(layer: ELU, build: Builder, call: Call[Signal]) -> str:
    """Elu."""
    return put("elu", build, call.one.value, alpha=layer.alpha)


@lowers("ThresholdedReLU")
def thresholded(layer: ThresholdedReLU, build: Builder, call: Call[Signal]) -> str:
    """ThresholdedRelu."""
    return build.node("ThresholdedRelu", call.one.value, alpha=layer.theta)


@lowers("PReLU")
def prelu(layer: PReLU, build: Builder, call: Call[Signal]) -> str:
    """PRelu."""
    return build.node("PRelu", call.one.value, weight(layer, build, "alpha", sizes(layer.sizes(call.one.shape))))


@lowers("Softmax")
def softmax(layer: Softmax, build: Builder, call: Call[Signal]) -> str:
    """Softmax, between two choices where there is a mask."""
    (given,), masks = call.of("inputs"), call.of("mask")
    mask = masks[0].value if masks else given.mask if len(given.shape) == 1 else None
    if mask is None:
        return shares(build, given.value, layer.axes)
    low, zero = (build.constant(role, torch.tensor(value)) for role, value in (("low", MASKED), ("zero", 0.0)))
    shown = build.node("Where", mask, given.value, low, role="shown")
    return build.node("Where", mask, shares(build, shown, layer.axes, "shares"), zero)


def shares(build: Builder, value: str, axes: Sequence[int], role: str = "") -> str:
    """Put down exp x over its sum along the axes."""
    if len(axes) == 1:
        return build.node("Softmax", value, role=role, axis=axes[0])
    over = build.constant("axes", torch.tensor(list(axes)))
    lowered = build.node("Sub", value, build.node("ReduceMax", value, over, role="most", keepdims=1), role="lowered")
    power = build.node("Exp", lowered, role="power")
    return build.node("Div", power, build.node("ReduceSum", power, over, role="sum", keepdims=1), role=role)
