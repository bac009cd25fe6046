"""Operators on regions of images."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from worker.network.ops import beside, op


def _bilinear(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return an image [channels, height, width] read at fractional positions, zero outside."""
    height, width = image.shape[-2:]
    top, left = torch.floor(rows), torch.floor(columns)
    total = image.new_zeros(len(image), *rows.shape)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = top + down, left + right
        weight = (1 - (rows - row).abs()) * (1 - (columns - column).abs())
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        taken = image[:, row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()]
        total = total + taken * (weight * inside)
    return total


def _corners(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the largest of the four weighted neighbours of each position."""
    height, width = image.shape[-2:]
    top, left = torch.floor(rows), torch.floor(columns)
    found = []
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = (top + down).clamp(max=height - 1), (left + right).clamp(max=width - 1)
        vertical = rows - top if down else 1 - (rows - top)
        horizontal = columns - left if right else 1 - (columns - left)
        found.append(image[:, row.long(), column.long()] * vertical * horizontal)
    return torch.stack(found).amax(0)


@op("RoiAlign", since=16)
def roi_align(
    x: Tensor,
    rois: Tensor,
    batch_indices: Tensor,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:
    """Each region [x1, y1, x2, y2] of its image, averaged (or its maximum taken) over a grid of bins."""
    half = coordinate_transformation_mode == "half_pixel"
    size = (output_height, output_width)
    shift = 0.5 if half else 0.0
    pooled = []
    for roi, index in zip(rois * spatial_scale - shift, batch_indices.tolist(), strict=True):
        extent = roi[2:] - roi[:2] if half else (roi[2:] - roi[:2]).clamp(min=1.0)
        pooled.append(_aligned(x[index], roi[:2], extent, size, sampling_ratio, mode))
    return torch.stack(pooled) if pooled else x.new_zeros(0, x.shape[1], *size)


def _aligned(  # noqa: PLR0917  a region and how it is sampled
    image: Tensor, corner: Tensor, extent: Tensor, size: tuple[int, int], ratio: int, mode: str
) -> Tensor:
    tall, wide = (float(extent[1]) / size[0], float(extent[0]) / size[1])
    counts = [ratio or max(1, math.ceil(step)) for step in (tall, wide)]
    steps = [
        torch.arange(bins * count, dtype=corner.dtype, device=image.device)
        for bins, count in zip(size, counts, strict=True)
    ]
    rows = corner[1] + extent[1] / size[0] * ((steps[0] + 0.5) / counts[0])
    columns = corner[0] + extent[0] / size[1] * ((steps[1] + 0.5) / counts[1])
    grid = torch.meshgrid(rows, columns, indexing="ij")
    height, width = image.shape[-2:]
    inside = (grid[0] >= -1) & (grid[0] <= height) & (grid[1] >= -1) & (grid[1] <= width)
    places = grid[0].clamp(0, height - 1), grid[1].clamp(0, width - 1)
    read = _bilinear if mode == "avg" else _corners
    bins = (read(image, *places) * inside).reshape(-1, size[0], counts[0], size[1], counts[1])
    return bins.mean((2, 4)) if mode == "avg" else bins.amax((2, 4))


@op("RoiAlign")
def roi_align_unshifted(
    x: Tensor,
    rois: Tensor,
    batch_indices: Tensor,
    *,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:
    """RoiAlign as it was before it shifted regions by half a pixel."""
    return roi_align(
        x,
        rois,
        batch_indices,
        coordinate_transformation_mode="output_half_pixel",
        mode=mode,
        output_height=output_height,
        output_width=output_width,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
    )


@op("MaxRoiPool", fixed=["rois"])
def max_roi_pool(x: Tensor, rois: Tensor, *, pooled_shape: Sequence[int], spatial_scale: float = 1.0) -> Tensor:
    """The largest elements of each region [image, x1, y1, x2, y2] in a grid of bins; 0 in a bin outside the image."""
    corners = torch.floor(rois[:, 1:].double() * spatial_scale + 0.5).long().tolist()
    pooled = []
    for image, (left, top, right, bottom) in zip(rois[:, 0].long().tolist(), corners, strict=True):
        rows = _bins(top, bottom, pooled_shape[0], x.shape[2])
        columns = _bins(left, right, pooled_shape[1], x.shape[3])
        bins = [_largest(x[image, :, row, column]) for row in rows for column in columns]
        pooled.append(torch.stack(bins, 1).reshape(-1, *pooled_shape))
    return torch.stack(pooled) if pooled else x.new_zeros(0, x.shape[1], *pooled_shape)


def _bins(first: int, last: int, count: int, size: int) -> list[slice]:
    """Return the parts of an axis that a region from `first` to `last` is cut into; neighbours may overlap."""
    step = max(last - first + 1, 1) / count
    edges = ((first + math.floor(at * step), first + math.ceil((at + 1) * step)) for at in range(count))
    return [slice(min(max(begin, 0), size), min(max(end, 0), size)) for begin, end in edges]


def _largest(part: Tensor) -> Tensor:
    return part.amax((1, 2)) if part.numel() else part.new_zeros(len(part))


@op("NonMaxSuppression", gradient=False)
def non_max_suppression(
    boxes: Tensor,
    scores: Tensor,
    most: Tensor | None = None,
    overlap: Tensor | None = None,
    least: Tensor | None = None,
    *,
    center_point_box: int = 0,
) -> Tensor:
    """The boxes [batch, class, box] that score best and do not overlap a better one of their class."""
    count = 0 if most is None else int(most)
    limit = 0.0 if overlap is None else float(overlap)
    lowest = -math.inf if least is None else float(least)
    chosen = []
    for image, both in enumerate(zip(boxes.detach(), scores.detach(), strict=True)):
        edges = _edges(both[0], centred=bool(center_point_box))
        for kind, row in enumerate(both[1]):
            chosen += [[image, kind, box] for box in _best(edges, row, count, limit, lowest)]
    return torch.tensor(chosen, dtype=torch.int64, device=boxes.device).reshape(-1, 3)


def _edges(boxes: Tensor, *, centred: bool) -> Tensor:
    """Return boxes as top, left, bottom and right."""
    if centred:
        x, y, width, height = boxes.unbind(1)
        return torch.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], 1)
    first, second = boxes[:, :2], boxes[:, 2:]
    return torch.cat([torch.minimum(first, second), torch.maximum(first, second)], 1)


def _best(edges: Tensor, scores: Tensor, most: int, limit: float, lowest: float) -> list[int]:
    kept: list[int] = []
    for box in torch.sort(scores, descending=True, stable=True).indices.tolist():
        if len(kept) >= most or float(scores[box]) <= lowest:
            break
        if all(_overlap(edges[box], edges[other]) <= limit for other in kept):
            kept.append(box)
    return kept


def _overlap(a: Tensor, b: Tensor) -> float:
    """Return the area that two boxes share, as a part of what they cover together."""
    shared = float((torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod())
    together = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / together if together > 0 else 0.0


@op("DeformConv", since=19)
def deform_conv(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    dilations: Sequence[int] = (1, 1),
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    offset_group: int = 1,
    pads: Sequence[int] = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
) -> Tensor:
    """A convolution of images whose kernel elements each look where an offset tells them."""
    batch, channels = x.shape[:2]
    height, width = weight.shape[2:]
    taps, out = height * width, offset.shape[2:]
    shifts = offset.reshape(batch, offset_group, taps, 2, *out)
    kernel = [torch.arange(size, device=x.device) * step for size, step in zip((height, width), dilations, strict=True)]
    grid = [
        torch.arange(size, device=x.device) * step - pad for size, step, pad in zip(out, strides, pads[:2], strict=True)
    ]
    rows = shifts[:, :, :, 0] + grid[0].reshape(-1, 1) + kernel[0].repeat_interleave(width).reshape(-1, 1, 1)
    columns = shifts[:, :, :, 1] + grid[1] + kernel[1].repeat(height).reshape(-1, 1, 1)
    parts = x.reshape(batch, offset_group, channels // offset_group, *x.shape[2:])
    looked = torch.stack(
        [
            torch.cat([_bilinear(parts[at, part], rows[at, part], columns[at, part]) for part in range(offset_group)])
            for at in range(batch)
        ]
    )
    if mask is not None:
        gates = mask.reshape(batch, offset_group, 1, taps, *out)
        split = looked.reshape(batch, offset_group, -1, taps, *out)
        looked = (split * beside(split, gates)[0]).reshape(looked.shape)
    grouped = looked.reshape(batch, group, channels // group, taps, *out)
    filters = weight.reshape(group, len(weight) // group, channels // group, taps)
    y = torch.einsum("ngckyx,gock->ngoyx", grouped, filters).reshape(batch, len(weight), *out)
    return y if bias is None else y + bias.reshape(-1, 1, 1)
