"""Upsampling, padding, cropping and resizing."""

from collections.abc import Sequence
from typing import Any, Final

import torch

from service.keras.base import Call
from service.keras.layers.resampling import Cropping, UpSampling, UpSampling2D, ZeroPadding
from service.keras.layers.resizing import CenterCrop, Interpolated, Resized
from service.keras.sliding import Spatial
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.layout import channels_first
from worker.load.resizing import by_factors, to_sizes

_CELLS: Final[dict[str, dict[str, Any]]] = {
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    "bilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
}
"""How numbers that are the middles of cells are interpolated; the cubic kernel is TensorFlow's and JAX's."""


@lowers("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsampling(layer: UpSampling, build: Builder, call: Call[Signal]) -> str:
    """Resize by factors."""
    how = _CELLS[layer.interpolation if isinstance(layer, UpSampling2D) else "nearest"]
    factors = layer.each(layer.size)
    return channels_first(layer, build, call.one.value, lambda given: by_factors(build, given, factors, **how))


@lowers("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def padding(layer: ZeroPadding, build: Builder, call: Call[Signal]) -> str:
    """Pad."""
    before, after = zip(*layer.padding, strict=True)
    return _padded(layer, build, call.one.value, before, after)


@lowers("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(layer: Cropping, build: Builder, call: Call[Signal]) -> str:
    """Slice."""
    return _sliced(layer, build, call.one.value, layer.cropping)


@lowers("Resizing", "ops.Resize")
def resizing(layer: Interpolated, build: Builder, call: Call[Signal]) -> str:
    """Resize, behind Slice or Pad where the ratio of height to width is to be kept."""
    value, shape = call.one.value, call.one.shape
    if layer.crop_to_aspect_ratio:
        value = _sliced(layer, build, value, layer.cropped(shape, build.pointer), role="cropped")
    elif layer.pad_to_aspect_ratio:
        amounts = layer.padded(shape, build.pointer)
        value = _padded(layer, build, value, amounts, amounts, fill=layer.fill_value, role="padded")
    how = dict(_CELLS[layer.interpolation])
    if layer.antialias and layer.interpolation != "nearest":
        how |= {"antialias": 1, "exclude_outside": 1}
    return _resized(layer, build, value, how)


@lowers("CenterCrop")
def center_crop(layer: CenterCrop, build: Builder, call: Call[Signal]) -> str:
    """Slice; for an image that is too small, Slice to its ratio and Resize."""
    shape = call.one.shape
    height, width = layer.before(shape, build.pointer)
    down, right = height - layer.height, width - layer.width
    if down >= 0 and right >= 0:
        top, left = down // 2, right // 2
        return _sliced(layer, build, call.one.value, ((top, down - top), (left, right - left)))
    value = _sliced(layer, build, call.one.value, layer.cropped(shape, build.pointer), role="cropped")
    return _resized(layer, build, value, _CELLS["bilinear"])


def _resized(layer: Resized, build: Builder, value: str, how: dict[str, Any]) -> str:
    return channels_first(layer, build, value, lambda given: to_sizes(build, given, layer.target, **how))


def _padded(
    layer: Spatial, build: Builder, value: str, before: Sequence[int], after: Sequence[int], *,
    fill: float = 0.0, role: str = "",
) -> str:  # fmt: skip
    amounts = build.constant("amounts", torch.tensor([*before, *after]))
    filled = build.constant("fill", torch.tensor(fill))
    return build.node("Pad", value, amounts, filled, _axes(layer, build), role=role)


def _sliced(layer: Spatial, build: Builder, value: str, sides: Sequence[tuple[int, int]], role: str = "") -> str:
    """Put down a Slice that takes these amounts off each side of the inner axes."""
    before, after = zip(*sides, strict=True)
    starts = build.constant("starts", torch.tensor(before))
    ends = build.constant("ends", torch.tensor([-amount if amount else _END for amount in after]))
    return build.node("Slice", value, starts, ends, _axes(layer, build), role=role)


_END: Final = 2**31 - 1
"""Behind every end."""


def _axes(layer: Spatial, build: Builder) -> str:
    """Put down which axes of a batch the inner ones are."""
    first = 2 if layer.first else 1
    return build.constant("inner_axes", torch.arange(first, first + layer.axes))
