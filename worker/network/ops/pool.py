"""Pooling."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedModel
from worker.network.ops import Context, integers, op
from worker.network.ops.window import Window, torch_order, window

MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
MAX_AT = {
    1: functional.max_pool1d_with_indices,
    2: functional.max_pool2d_with_indices,
    3: functional.max_pool3d_with_indices,
}


class Pool:
    """A pooling window over an input, with the output's sizes and the room that ceil_mode adds at the ends."""

    def __init__(  # noqa: PLR0917  the attributes that all pooling shares
        self,
        x: Tensor,
        kernel: Sequence[int],
        strides: Sequence[int] | None,
        dilations: Sequence[int] | None,
        pads: Sequence[int] | None,
        auto_pad: str,
        ceil_mode: int,
    ) -> None:
        """Measure the window over x [batch, channels, …]."""
        self.sizes = list(x.shape[2:])
        self.rank = len(self.sizes)
        if self.rank not in MAX:
            msg = f"Pooling over {self.rank} axes is not supported; 1, 2 and 3 are."
            raise UnsupportedModel(msg)
        self.window: Window = window(self.sizes, kernel, strides, dilations, pads, auto_pad)
        self.out = [self._steps(axis, ceil=bool(ceil_mode)) for axis in range(self.rank)]
        self.full = self._full()

    def _steps(self, axis: int, *, ceil: bool) -> int:
        """Return how often the window fits along an axis; one that starts in the end padding does not count."""
        begin, end = self.window.pads[axis], self.window.pads[axis + self.rank]
        stride = self.window.strides[axis]
        room = self.sizes[axis] + begin + end - self.window.reach(axis)
        steps = (-(-room // stride) if ceil else room // stride) + 1
        return steps - 1 if ceil and (steps - 1) * stride >= self.sizes[axis] + begin else steps

    def _full(self) -> list[int]:
        """Return the padding with which the last window fits entirely."""
        ends = []
        for axis, steps in enumerate(self.out):
            padded = self.sizes[axis] + self.window.pads[axis] + self.window.pads[axis + self.rank]
            missing = (steps - 1) * self.window.strides[axis] + self.window.reach(axis) - padded
            ends.append(self.window.pads[axis + self.rank] + max(0, missing))
        return self.window.pads[: self.rank] + ends

    @property
    def direct(self) -> list[int] | None:
        """The padding that torch's own pooling adds by itself; None where it has no such.

        It is the same on both sides, and at most half a kernel.
        """
        begins, ends = self.full[: self.rank], self.full[self.rank :]
        small = all(0 <= 2 * pad <= size for pad, size in zip(begins, self.window.kernel, strict=True))
        return begins if begins == ends and small else None

    def padded(self, x: Tensor, value: float) -> Tensor:
        """Return x with its full padding."""
        return functional.pad(x, torch_order(self.full), value=value) if any(self.full) else x

    def windows(self, x: Tensor) -> Tensor:
        """Return each window's elements of a padded x, along a new last axis."""
        for axis in range(self.rank):
            starts = torch.arange(self.out[axis], device=x.device) * self.window.strides[axis]
            taps = torch.arange(self.window.kernel[axis], device=x.device) * self.window.dilations[axis]
            where = starts.reshape(-1, 1) + taps
            taken = x.index_select(2 + axis, where.reshape(-1))
            split = [*x.shape[: 2 + axis], *where.shape, *x.shape[3 + axis :]]
            x = taken.reshape(split).movedim(3 + axis, -1)
        return x.flatten(2 + self.rank)


@op("MaxPool")
def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
    context: Context,
) -> tuple[Tensor, ...]:
    """The largest element of each window and, where asked for, its position in the flattened input."""
    pool = Pool(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    values = x if x.is_floating_point() else x.double()
    direct = pool.direct
    padded = pool.padded(values, -math.inf) if direct is None else values
    slid = pool.window
    settings = (slid.kernel, slid.strides, direct or [0] * pool.rank, slid.dilations)
    if context.outputs == 1:
        return (_trimmed(MAX[pool.rank](padded, *settings), pool).to(x.dtype),)
    largest, where = MAX_AT[pool.rank](padded, *settings)
    line = _trimmed(_unpadded(where, padded, pool, columns_first=bool(storage_order)), pool)
    return _trimmed(largest, pool).to(x.dtype), line


def _trimmed(y: Tensor, pool: Pool) -> Tensor:
    return y[(slice(None), slice(None), *(slice(size) for size in pool.out))]


def _unpadded(where: Tensor, padded: Tensor, pool: Pool, *, columns_first: bool) -> Tensor:
    """Return positions in the image, padded or not, as positions in the whole unpadded tensor."""
    places, rest = {}, where
    for axis in reversed(range(pool.rank)):
        added = pool.full[axis] if padded.shape[2 + axis] > pool.sizes[axis] else 0
        places[axis] = rest % padded.shape[2 + axis] - added
        rest = rest // padded.shape[2 + axis]
    line = torch.zeros_like(where)
    for axis in reversed(range(pool.rank)) if columns_first else range(pool.rank):
        line = line * pool.sizes[axis] + places[axis]
    images = torch.arange(math.prod(where.shape[:2]), device=where.device) * math.prod(pool.sizes)
    return line + images.reshape(*where.shape[:2], *[1] * pool.rank)


@op("AveragePool")
def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The mean of each window, over padding too where `count_include_pad`."""
    pool = Pool(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    direct, slid = pool.direct, pool.window
    if direct is not None and pool.full == slid.pads and all(step == 1 for step in slid.dilations):
        shared = bool(count_include_pad)
        return _trimmed(AVERAGE[pool.rank](x, slid.kernel, slid.strides, direct, False, shared), pool)  # noqa: FBT003
    total = _sums(pool.padded(x, 0), pool)
    if not any(pool.full):
        return total / math.prod(kernel_shape)
    ones = x.new_ones(1, 1, *pool.sizes)
    ends = pool.full[pool.rank :]
    declared = pool.window.pads
    counted = functional.pad(ones, torch_order(declared), value=float(bool(count_include_pad)))
    added = [0] * pool.rank + [end - own for end, own in zip(ends, declared[pool.rank :], strict=True)]
    return total / _sums(functional.pad(counted, torch_order(added)), pool)


def _sums(padded: Tensor, pool: Pool) -> Tensor:
    """Return the sum over each window."""
    slid = pool.window
    if pool.rank == 2 and all(step == 1 for step in slid.dilations):  # noqa: PLR2004  torch's fast path is for images
        return _trimmed(functional.avg_pool2d(padded, slid.kernel, slid.strides, divisor_override=1), pool)
    return pool.windows(padded).sum(-1)


@op("LpPool")
def lp_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    p: int = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The p-norm of each window."""
    pool = Pool(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    return pool.windows(pool.padded(x, 0)).abs().pow(p).sum(-1).pow(1 / p)


@op("GlobalAveragePool")
def global_average_pool(x: Tensor) -> Tensor:
    """The mean over all spatial axes."""
    return x.mean(_spatial(x), keepdim=True)


def _spatial(x: Tensor) -> list[int]:
    """Return the spatial axes; ValueError where there are none: torch would take all axes for them."""
    axes = list(range(2, x.dim()))
    if not axes:
        msg = "there are no spatial axes to pool over"
        raise ValueError(msg)
    return axes


@op("GlobalMaxPool")
def global_max_pool(x: Tensor) -> Tensor:
    """The largest element over all spatial axes."""
    return x.amax(_spatial(x), keepdim=True)


@op("GlobalLpPool")
def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    """The p-norm over all spatial axes."""
    return x.abs().pow(p).sum(_spatial(x), keepdim=True).pow(1 / p)


@op("MaxUnpool")
def max_unpool(
    x: Tensor,
    indices: Tensor,
    output_shape: Tensor | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Each element put back to where max pooling found it, zeros elsewhere.

    The indices are places in the output as it is returned: those that max pooling gave of its input.
    """
    whole = integers(output_shape) if output_shape is not None else _unpooled(x, kernel_shape, strides, pads)
    flat = x.new_zeros(math.prod(whole)).index_put((indices.reshape(-1),), x.reshape(-1))
    return flat.reshape(whole)


def _unpooled(x: Tensor, kernel: Sequence[int], strides: Sequence[int] | None, pads: Sequence[int] | None) -> list[int]:
    """Return the shape of what max pooling made x of."""
    slid = window(x.shape[2:], kernel, strides, None, pads, "NOTSET")
    rank = len(slid.kernel)
    sizes = [
        (x.shape[2 + axis] - 1) * slid.strides[axis] + slid.kernel[axis] - slid.pads[axis] - slid.pads[axis + rank]
        for axis in range(rank)
    ]
    return [*x.shape[:2], *sizes]
