"""Operators that move numbers and leave them as they are: shapes, axes, cutting and joining."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from worker.network.ops import Context, integers, op, together
from worker.network.room import check_room


@op("Shape", gradient=False)
def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The sizes of x, from axis `start` to `end`."""
    return torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


@op("Size", gradient=False)
def size(x: Tensor) -> Tensor:
    """How many elements x has."""
    return torch.tensor(x.numel(), dtype=torch.int64)


@op("Reshape", since=5)
def reshape(x: Tensor, target: Tensor, *, allowzero: int = 0) -> Tensor:
    """X in another shape; -1 is inferred, and 0 keeps a size unless `allowzero`."""
    sizes = integers(target)
    return x.reshape([x.shape[axis] if size == 0 and not allowzero else size for axis, size in enumerate(sizes)])


@op("Flatten")
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """X as a matrix: axes before `axis`, and the others."""
    front = axis + x.dim() if axis < 0 else axis
    return x.reshape(prod(x.shape[:front]), prod(x.shape[front:]))


@op("Transpose")
def transpose(x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    """X with its axes in another order; reversed by default."""
    return x.permute(*(range(x.dim())[::-1] if perm is None else perm))


@op("Squeeze", since=13)
def squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """X without axes of size 1."""
    return squeeze_by_attribute(x, axes=None if axes is None else integers(axes))


@op("Squeeze")
def squeeze_by_attribute(x: Tensor, *, axes: Sequence[int] | None = None) -> Tensor:
    """X without axes of size 1."""
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


@op("Unsqueeze", since=13)
def unsqueeze(x: Tensor, axes: Tensor) -> Tensor:
    """X with new axes of size 1, numbered as in the result."""
    return unsqueeze_by_attribute(x, axes=integers(axes))


@op("Unsqueeze")
def unsqueeze_by_attribute(x: Tensor, *, axes: Sequence[int]) -> Tensor:
    """X with new axes of size 1, numbered as in the result."""
    rank = x.dim() + len(axes)
    for axis in sorted(each % rank for each in axes):
        x = x.unsqueeze(axis)
    return x


@op("Expand")
def expand(x: Tensor, target: Tensor) -> Tensor:
    """X repeated along axes of size 1, as broadcasting does."""
    return x.expand(_broadcast(list(x.shape), integers(target)))


def _broadcast(own: list[int], target: list[int]) -> list[int]:
    rank = max(len(own), len(target))
    left, right = ([1] * (rank - len(sizes)) + sizes for sizes in (own, target))
    return [mine if theirs == 1 else theirs for mine, theirs in zip(left, right, strict=True)]


@op("Tile", since=6)
def tile(x: Tensor, repeats: Tensor) -> Tensor:
    """X repeated along each axis."""
    times = integers(repeats)
    if len(times) == x.dim():
        check_room((size * count for size, count in zip(x.shape, times, strict=True)), x.dtype)
    return x.repeat(times)


@op("Concat", since=4)
def concat(*parts: Tensor, axis: int) -> Tensor:
    """The parts joined along an axis."""
    return torch.cat(together(*parts), axis)


@op("Split", since=13)
def split(
    x: Tensor, sizes: Tensor | None = None, *, axis: int = 0, num_outputs: int | None = None, context: Context
) -> tuple[Tensor, ...]:
    """X cut along an axis, into the sizes given or equal ones (the last may be smaller)."""
    if sizes is not None:
        return torch.split(x, integers(sizes), axis)
    length, parts = x.shape[axis], num_outputs or context.outputs
    chunk = -(-length // parts)
    return torch.split(x, [chunk] * (parts - 1) + [length - chunk * (parts - 1)], axis)


@op("Split", since=2)
def split_by_attribute(
    x: Tensor, *, axis: int = 0, split: Sequence[int] | None = None, context: Context
) -> tuple[Tensor, ...]:
    """X cut along an axis, into the sizes given or equal ones."""
    sizes = list(split) if split is not None else [x.shape[axis] // context.outputs] * context.outputs
    return torch.split(x, sizes, axis)


@op("Slice", since=10)
def cut(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
    """X from starts to ends, by steps, along axes, as Python slices count."""
    first, last = integers(starts), integers(ends)
    along = range(len(first)) if axes is None else integers(axes)
    strides = [1] * len(first) if steps is None else integers(steps)
    for start, end, axis, step in zip(first, last, along, strides, strict=True):
        x = _sliced(x, axis, start, end, step)
    return x


@op("Slice")
def cut_by_attributes(
    x: Tensor, *, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None = None
) -> Tensor:
    """X from starts to ends along axes."""
    along = range(len(starts)) if axes is None else axes
    for start, end, axis in zip(starts, ends, along, strict=True):
        x = _sliced(x, axis, start, end, 1)
    return x


def _sliced(x: Tensor, axis: int, start: int, end: int, step: int) -> Tensor:
    length = x.shape[axis]
    if step > 0:
        begin, stop, _ = slice(start, end, step).indices(length)
        return x[(slice(None),) * (axis % x.dim()) + (slice(begin, stop, step),)]
    first = min(max(start + length if start < 0 else start, 0), length - 1)
    last = min(max(end + length if end < 0 else end, -1), length - 1)
    picked = torch.arange(first, last, step, device=x.device) if first > last else torch.zeros(0, dtype=torch.int64)
    return x.index_select(axis, picked.to(x.device))


@op("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Channels spread out over blocks of pixels."""
    batch, channels, height, width = x.shape
    depth = channels // blocksize**2
    if mode == "DCR":
        blocks = x.reshape(batch, blocksize, blocksize, depth, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(batch, depth, blocksize, blocksize, height, width).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(batch, depth, height * blocksize, width * blocksize)


@op("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Blocks of pixels stacked into channels."""
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, channels, height // blocksize, blocksize, width // blocksize, blocksize)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    sizes = (batch, channels * blocksize**2, height // blocksize, width // blocksize)
    return blocks.permute(*order).reshape(*sizes)
