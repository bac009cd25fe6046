"""Pooling."""

import torch
from torch import Tensor

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
    """AveragePool or MaxPool where the windows are alike; else each axis's windows gathered, and reduced."""
    mean, before, after = "avg" in layer.kind, inner(shape), layer.sizes(shape)
    if all(size % wanted == 0 for size, wanted in zip(before, after, strict=True)):
        kernel = tuple(size // wanted for size, wanted in zip(before, after, strict=True))
        op = "AveragePool" if mean else "MaxPool"
        return channels_first(
            build, value, shape, lambda given: build.node(op, given, kernel_shape=kernel, strides=kernel)
        )
    first = 1 if len(shape) == SEQUENCE else 2
    unequal = [axis for axis, sizes in enumerate(zip(before, after, strict=True)) if sizes[0] != sizes[1]]
    for axis in unequal:
        part = build.inner(f"axis{axis}") if axis != unequal[-1] else build
        value = _shared_out(part, value, first + axis, windows(before[axis], after[axis]), len(shape) + 1, mean=mean)
    return value


def windows(size: int, wanted: int) -> Tensor:
    """Return which numbers of an axis each window of an adaptive pooling holds: (wanted, widest), the last repeated."""
    begins = torch.arange(wanted) * size // wanted
    ends = (torch.arange(1, wanted + 1) * size + wanted - 1) // wanted
    places = begins[:, None] + torch.arange(int((ends - begins).max()))
    return places.minimum(ends[:, None] - 1)


def _shared_out(build: Builder, value: str, axis: int, places: Tensor, rank: int, *, mean: bool) -> str:
    """Put down the mean or the maximum of these places of an axis."""
    gathered = build.node("Gather", value, build.constant("places", places), role="windows", axis=axis)
    along = build.constant("axes", torch.tensor([axis + 1]))
    if not mean:
        return build.node("ReduceMax", gathered, along, keepdims=0)
    shares = build.constant("shares", _shares(places).reshape(*places.shape, *(1,) * (rank - axis - 1)))
    return build.node("ReduceSum", build.node("Mul", gathered, shares, role="weighted"), along, keepdims=0)


def _shares(places: Tensor) -> Tensor:
    """Return what each place counts in a mean; places that stand there several times share their part."""
    alike = (places[:, :, None] == places[:, None, :]).sum(2)
    numbers = places.max(1, keepdim=True).values - places.min(1, keepdim=True).values + 1
    return 1 / (alike * numbers).float()
