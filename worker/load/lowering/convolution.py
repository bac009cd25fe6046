"""Convolutions and pooling."""

from typing import Any

import torch

from service.contract.architecture import Shape
from service.contract.architecture.base import IMAGE, channels
from service.contract.architecture.convolution import Conv1d, Conv2d, Window
from service.contract.architecture.pooling import GlobalPool, Pool1d, Pool2d
from worker.load.builder import Builder
from worker.load.channels import channels_first
from worker.load.drawing import law_of
from worker.load.lowering import lowering
from worker.network.laws import fans, torch_default


@lowering("conv1d", "conv2d")
def convolution(layer: Conv1d | Conv2d, build: Builder, value: str, shape: Shape) -> str:
    """Conv with a kernel of the shape (filters, channels / groups, …)."""
    size = (layer.filters, channels(shape) // layer.groups, *layer.steps[0])
    fan = fans(size, "Conv")
    weights = [build.parameter("kernel", law_of(layer.init.kernel, size, fan, torch_default(size, fan)))]
    if layer.bias:
        bias = (layer.filters,)
        weights.append(build.parameter("bias", law_of(layer.init.bias_law, bias, fan, torch_default(bias, fan))))

    def inside(given: str) -> str:
        window = _window(layer, shape)
        return build.node("Conv", given, *weights, group=layer.groups, dilations=layer.steps[2], **window)

    return channels_first(build, value, shape, inside)


@lowering("max_pool1d", "avg_pool1d", "max_pool2d", "avg_pool2d")
def pool(layer: Pool1d | Pool2d, build: Builder, value: str, shape: Shape) -> str:
    """MaxPool or AveragePool; padding does not count."""
    op = "MaxPool" if layer.kind.startswith("max") else "AveragePool"
    window = _window(layer, shape)
    return channels_first(build, value, shape, lambda given: build.node(op, given, **window))


@lowering("global_avg_pool", "global_max_pool")
def global_pool(layer: GlobalPool, build: Builder, value: str, shape: Shape) -> str:
    """ReduceMean or ReduceMax over height and width, or over time."""
    axes = build.constant("axes", torch.tensor([2, 3] if len(shape) == IMAGE else [1]))
    return build.node("ReduceMean" if "avg" in layer.kind else "ReduceMax", value, axes, keepdims=0)


def _window(layer: Window, shape: Shape) -> dict[str, Any]:
    kernel, stride, _ = layer.steps
    before, after = zip(*layer.pads(shape), strict=True)
    return {"kernel_shape": kernel, "strides": stride, "pads": (*before, *after)}
