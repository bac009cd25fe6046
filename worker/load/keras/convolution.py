"""Convolutions."""

from typing import Any

from service.keras.base import Call, Shape
from service.keras.layers.convolution import Convolution, Depthwise, Filter, Separable, Transposed
from service.keras.sliding import Window
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.activations import activated
from worker.load.keras.layout import channels_first
from worker.load.keras.weights import weight


@lowers("Conv1D", "Conv2D", "Conv3D")
def convolution(layer: Convolution, build: Builder, call: Call[Signal]) -> str:
    """Conv, then the activation."""
    channels = layer.channels(call.one.shape) // layer.groups
    kernel = weight(layer, build, "kernel", (*layer.window, channels, layer.filters), axes=_turned(layer))
    window = {**sliding(layer, call.one.shape), "group": layer.groups}
    return _filtered(layer, build, call, [kernel, *_bias(layer, build, layer.filters)], window)


@lowers("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def transposed(layer: Transposed, build: Builder, call: Call[Signal]) -> str:
    """ConvTranspose, then the activation."""
    channels = layer.channels(call.one.shape)
    kernel = weight(layer, build, "kernel", (*layer.window, layer.filters, channels), axes=_turned(layer))
    before, after = zip(*layer.cut(), strict=True)
    window = {
        "kernel_shape": layer.window,
        "strides": layer.steps,
        "dilations": layer.gaps,
        "pads": (*before, *(max(cut, 0) for cut in after)),
        "output_padding": tuple(max(-cut, 0) for cut in after),
    }
    return _filtered(layer, build, call, [kernel, *_bias(layer, build, layer.filters)], window)


@lowers("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(layer: Depthwise, build: Builder, call: Call[Signal]) -> str:
    """Conv with a group per channel, then the activation."""
    shape = call.one.shape
    weights = [_deep(layer, build, shape, "kernel"), *_bias(layer, build, layer.made(shape))]
    window = {**sliding(layer, shape), "group": layer.channels(shape)}
    return _filtered(layer, build, call, weights, window)


@lowers("SeparableConv1D", "SeparableConv2D")
def separable(layer: Separable, build: Builder, call: Call[Signal]) -> str:
    """Conv with a group per channel and Conv with a window of one, then the activation."""
    shape, one = call.one.shape, (1,) * layer.axes
    window = {**sliding(layer, shape), "group": layer.channels(shape)}
    deep = _deep(layer, build, shape, "depthwise_kernel")
    size = (*one, layer.channels(shape) * layer.depth_multiplier, layer.filters)
    point = weight(layer, build, "pointwise", size, axes=_turned(layer), as_role="pointwise_kernel")
    weights = [point, *_bias(layer, build, layer.filters)]

    def inside(given: str) -> str:
        given = build.node("Conv", given, deep, role="depthwise", **window)
        return build.node("Conv", given, *weights, kernel_shape=one)

    value = channels_first(layer, build, call.one.value, inside)
    return activated(layer.activation, build, value, role="activation")


def sliding(layer: Window, shape: Shape) -> dict[str, Any]:
    """Return how a window slides, as an operator's attributes."""
    window: dict[str, Any] = {"kernel_shape": layer.window, "strides": layer.steps, "dilations": layer.gaps}
    pads = layer.pads(shape)
    if pads is None:
        return {**window, "auto_pad": "SAME_UPPER"}
    before, after = zip(*pads, strict=True)
    return {**window, "pads": (*before, *after)}


def _filtered(layer: Filter, build: Builder, call: Call[Signal], weights: list[str], window: dict[str, Any]) -> str:
    op = "ConvTranspose" if isinstance(layer, Transposed) else "Conv"
    value = channels_first(layer, build, call.one.value, lambda given: build.node(op, given, *weights, **window))
    return activated(layer.activation, build, value, role="activation")


def _turned(layer: Filter) -> tuple[int, ...]:
    """Return the order in which (window…, in, out) becomes (out, in, window…)."""
    return (layer.axes + 1, layer.axes, *range(layer.axes))


def _deep(layer: Depthwise | Separable, build: Builder, shape: Shape, role: str) -> str:
    """Draw (window…, channels, multiplier); it lies as (channels · multiplier, 1, window…)."""
    channels = layer.channels(shape)
    size = (*layer.window, channels, layer.depth_multiplier)
    into = (channels * layer.depth_multiplier, 1, *layer.window)
    axes = (layer.axes, layer.axes + 1, *range(layer.axes))
    return weight(layer, build, "depthwise", size, axes=axes, into=into, as_role=role)


def _bias(layer: Filter, build: Builder, count: int) -> list[str]:
    return [weight(layer, build, "bias", (count,))] if layer.use_bias else []
