"""Convolutions."""

from typing import Any

from service.contract.architecture import Init, Shape
from service.contract.architecture.base import channels
from service.contract.architecture.convolution import Convolution, Depthwise, Filter, Separable
from service.contract.architecture.transposed import Transposed
from service.contract.architecture.window import Window
from worker.load.builder import Builder
from worker.load.channels import channels_first
from worker.load.drawing import convolution_law, law_of
from worker.load.lowering import lowering
from worker.network.fans import fans
from worker.network.graph import Law
from worker.network.laws import torch_default


@lowering("conv1d", "conv2d", "conv3d")
def convolution(layer: Convolution, build: Builder, value: str, shape: Shape) -> str:
    """Conv with a kernel of the shape (filters, channels / groups, …)."""
    size = (layer.filters, channels(shape) // layer.groups, *layer.kernels)
    return _filtered(layer, build, value, shape, size, layer.groups)


@lowering("depthwise_conv1d", "depthwise_conv2d")
def depthwise(layer: Depthwise, build: Builder, value: str, shape: Shape) -> str:
    """Conv with a group per channel."""
    return _filtered(layer, build, value, shape, (layer.made(shape), 1, *layer.kernels), channels(shape))


@lowering("separable_conv1d", "separable_conv2d")
def separable(layer: Separable, build: Builder, value: str, shape: Shape) -> str:
    """Two Convs: a group per channel, then a window of one."""
    between = channels(shape) * layer.multiplier
    size, point = (between, 1, *layer.kernels), (layer.filters, between, *(1,) * layer.axes)
    deep = build.parameter("depthwise", convolution_law(layer.depthwise_init, size, channels(shape)))
    kernel = convolution_law(layer.init.kernel, point)
    weights = _weights(build, layer.init, kernel, point, layer.filters if layer.bias else 0)
    window = sliding(layer, shape)

    def inside(given: str) -> str:
        given = build.node("Conv", given, deep, role="depthwise_conv", group=channels(shape), **window)
        return build.node("Conv", given, *weights, kernel_shape=point[2:])

    return channels_first(build, value, shape, inside)


@lowering("conv1d_transpose", "conv2d_transpose", "conv3d_transpose")
def transposed(layer: Transposed, build: Builder, value: str, shape: Shape) -> str:
    """ConvTranspose with a kernel of the shape (channels, filters / groups, …)."""
    size = (channels(shape), layer.filters // layer.groups, *layer.kernels)
    law = convolution_law(layer.init.kernel, size, layer.groups, transposed=True)
    weights = _weights(build, layer.init, law, size, layer.filters if layer.bias else 0)
    window = {**sliding(layer, shape), "output_padding": layer.behind(shape), "group": layer.groups}
    return channels_first(build, value, shape, lambda given: build.node("ConvTranspose", given, *weights, **window))


def sliding(layer: Window, shape: Shape) -> dict[str, Any]:
    """Return how a window slides, as an operator's attributes."""
    before, after = zip(*layer.pads(shape), strict=True)
    window = {"kernel_shape": layer.kernels, "strides": layer.strides, "pads": (*before, *after)}
    return window if set(layer.dilations) == {1} else {**window, "dilations": layer.dilations}


def _filtered(  # noqa: PLR0917  what a lowering takes, the kernel and its groups
    layer: Filter, build: Builder, value: str, shape: Shape, size: Shape, group: int
) -> str:
    law = convolution_law(layer.init.kernel, size, group)
    weights = _weights(build, layer.init, law, size, size[0] if layer.bias else 0)
    window = sliding(layer, shape)
    return channels_first(build, value, shape, lambda given: build.node("Conv", given, *weights, group=group, **window))


def _weights(build: Builder, init: Init, kernel: Law, size: Shape, biases: int) -> list[str]:
    """Draw a kernel, and biases if there are any; PyTorch's law of these looks at the kernel's size."""
    weights = [build.parameter("kernel", kernel)]
    if biases:
        fan = fans(size, "Conv")
        law = law_of(init.bias_law, (biases,), fan, torch_default((biases,), fan))
        weights.append(build.parameter("bias", law))
    return weights
