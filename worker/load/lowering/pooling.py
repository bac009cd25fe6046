"""Pooling."""

import torch

from service.contract.architecture import Shape
from service.contract.architecture.base import SEQUENCE
from service.contract.architecture.pooling import (
    AdaptivePool1d,
    AdaptivePool2d,
    AdaptivePool3d,
    AvgPooling,
    GlobalPool,
    MaxPooling,
)
from service.contract.architecture.window import inner
from worker.load.builder import Builder
from worker.load.channels import channels_first
from worker.load.lowering import lowering
from worker.load.lowering.convolution import sliding
from worker.load.shares import shared_out


@lowering("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(layer: MaxPooling, build: Builder, value: str, shape: Shape) -> str:
    """MaxPool."""
    window = {**sliding(layer, shape), "ceil_mode": int(layer.ceil)}
    return channels_first(build, value, shape, lambda given: build.node("MaxPool", given, **window))


@lowering("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(layer: AvgPooling, build: Builder, value: str, shape: Shape) -> str:
    """AveragePool."""
    window = {**sliding(layer, shape), "ceil_mode": int(layer.ceil), "count_include_pad": int(layer.count_padding)}
    return channels_first(build, value, shape, lambda given: build.node("AveragePool", given, **window))


@lowering("global_avg_pool", "global_max_pool")
def global_pool(layer: GlobalPool, build: Builder, value: str, shape: Shape) -> str:
    """ReduceMean or ReduceMax over the inner axes."""
    first = 1 if len(shape) == SEQUENCE else 2
    axes = build.constant("axes", torch.arange(first, first + len(inner(shape))))
    op = "ReduceMean" if layer.kind == "global_avg_pool" else "ReduceMax"
    return build.node(op, value, axes, keepdims=int(layer.keep))


@lowering(*(f"adaptive_{what}_pool{axes}d" for what in ("avg", "max") for axes in (1, 2, 3)))
def adaptive_pool(
    layer: AdaptivePool1d | AdaptivePool2d | AdaptivePool3d, build: Builder, value: str, shape: Shape
) -> str:
    """AveragePool or MaxPool where the windows are alike; else Gather and reductions."""
    mean, before, after = "avg" in layer.kind, inner(shape), layer.sizes(shape)
    return channels_first(build, value, shape, lambda given: shared_out(build, given, before, after, mean=mean))
