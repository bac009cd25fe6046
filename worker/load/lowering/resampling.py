"""Upsampling, padding, cropping, and pixels for channels."""

from typing import Any

import torch

from service.contract.architecture import Shape
from service.contract.architecture.base import SEQUENCE
from service.contract.architecture.resampling import (
    ROUNDING,
    ChannelShuffle,
    Crop,
    Pad,
    PixelShuffle,
    PixelUnshuffle,
    Upsample,
)
from service.contract.architecture.window import inner
from worker.load.builder import Builder
from worker.load.channels import channels_first
from worker.load.lowering import lowering
from worker.load.resizing import by_factors, to_sizes

_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@lowering("upsample")
def upsample(layer: Upsample, build: Builder, value: str, shape: Shape) -> str:
    """Resize, by sizes where they are whole and by factors otherwise, as in torch.nn.functional.interpolate."""
    before, after = inner(shape), layer.sizes(shape, "")
    factors = layer.factor if isinstance(layer.factor, tuple) else (layer.factor or 1,) * len(before)
    rests = (size * factor - whole for size, factor, whole in zip(before, factors, after, strict=True))
    coordinates = "asymmetric" if layer.mode == "nearest" else "half_pixel"
    how: dict[str, Any] = {
        "mode": layer.mode,
        "coordinate_transformation_mode": "align_corners" if layer.align_corners else coordinates,
        "nearest_mode": "floor",
    }
    if layer.factor is None or max(map(abs, rests)) < ROUNDING:
        return channels_first(build, value, shape, lambda given: to_sizes(build, given, after, **how))
    return channels_first(build, value, shape, lambda given: by_factors(build, given, factors, **how))


@lowering("pad")
def pad(layer: Pad, build: Builder, value: str, shape: Shape) -> str:
    """Pad."""
    before, after = zip(*layer.sides(shape, ""), strict=True)
    amounts = build.constant("amounts", torch.tensor([*before, *after]))
    fill = build.constant("value", torch.tensor(layer.value)) if layer.mode == "constant" else ""
    return build.node("Pad", value, amounts, fill, _axes(build, shape), mode=_MODES[layer.mode])


@lowering("crop")
def crop(layer: Crop, build: Builder, value: str, shape: Shape) -> str:
    """Slice."""
    before, after = zip(*layer.sides(shape, ""), strict=True)
    starts = build.constant("starts", torch.tensor(before))
    ends = build.constant("ends", torch.tensor(inner(shape)) - torch.tensor(after))
    return build.node("Slice", value, starts, ends, _axes(build, shape))


def _axes(build: Builder, shape: Shape) -> str:
    """Put down which axes of a batch the inner ones are."""
    first = 1 if len(shape) <= SEQUENCE else 2
    return build.constant("axes", torch.arange(first, first + len(inner(shape))))


@lowering("pixel_shuffle")
def pixel_shuffle(layer: PixelShuffle, build: Builder, value: str, shape: Shape) -> str:
    """DepthToSpace, the channels of one pixel behind each other."""
    return build.node("DepthToSpace", value, blocksize=layer.factor, mode="CRD")


@lowering("pixel_unshuffle")
def pixel_unshuffle(layer: PixelUnshuffle, build: Builder, value: str, shape: Shape) -> str:
    """Reshape, Transpose and Reshape; SpaceToDepth has another order of channels."""
    by, (count, height, width) = layer.factor, shape
    split = (count, height // by, by, width // by, by)
    return _rearranged(build, value, split, (0, 1, 3, 5, 2, 4), layer.output(shape, ""))


@lowering("channel_shuffle")
def channel_shuffle(layer: ChannelShuffle, build: Builder, value: str, shape: Shape) -> str:
    """Reshape, Transpose and Reshape."""
    split = (layer.groups, shape[0] // layer.groups, *shape[1:])
    return _rearranged(build, value, split, (0, 2, 1, *range(3, len(split) + 1)), shape)


def _rearranged(build: Builder, value: str, split: Shape, order: tuple[int, ...], after: Shape) -> str:
    apart = build.node("Reshape", value, build.constant("split", torch.tensor([0, *split])), role="split")
    turned = build.node("Transpose", apart, role="turned", perm=order)
    return build.node("Reshape", turned, build.constant("shape", torch.tensor([0, *after])))
