"""Convolutions."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedModel
from worker.network.ops import integers, op
from worker.network.ops.window import Window, torch_order, window

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@op("Conv")
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The correlation of x [batch, channels, …] with a kernel [out, channels / group, …]."""
    rank = _rank(x)
    slid = window(x.shape[2:], weight.shape[2:], strides, dilations, pads, auto_pad)
    begins, ends = slid.pads[:rank], slid.pads[rank:]
    if begins != ends or min(begins) < 0:
        x, begins = functional.pad(x, torch_order(slid.pads)), [0] * rank
    if max(weight.shape[2:]) == 1 < max(slid.strides) and not any(begins):
        return CONV[rank](_every(x, slid.strides), weight, bias, groups=group)
    return CONV[rank](x, weight, bias, slid.strides, begins, slid.dilations, group)


def _every(x: Tensor, strides: Sequence[int]) -> Tensor:
    """Return what a window of one number sees of x at these strides.

    torch 2.13 on two cores or more corrupts memory in the backward pass of such a convolution where the channels lie
    last, as they do in Keras's networks.
    """
    every: list[slice] = [slice(None, None, stride) for stride in strides]
    return x[(slice(None), slice(None), *every)]


@op("ConvTranspose")
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The adjoint of a convolution with kernel [channels, out / group, …]."""
    rank = _rank(x)
    slid = window([1] * rank, weight.shape[2:], strides, dilations, pads, "NOTSET" if auto_pad == "NOTSET" else "VALID")
    extra = list(output_padding or [0] * rank)
    target = list(output_shape)[-rank:] if output_shape else None
    if target is None and auto_pad.startswith("SAME"):
        target = [size * step for size, step in zip(x.shape[2:], slid.strides, strict=True)]
    if target is not None:
        slid, extra = _fitted(x, slid, extra, target, lower=auto_pad == "SAME_LOWER")
    return _transposed(x, weight, bias, slid, extra, group)


def _transposed(  # noqa: PLR0917  what torch's own takes
    x: Tensor, weight: Tensor, bias: Tensor | None, slid: Window, extra: list[int], group: int
) -> Tensor:
    """Return the transposed convolution, by torch's own padding where that is the same on both sides."""
    rank = len(slid.kernel)
    begins, ends = slid.pads[:rank], slid.pads[rank:]
    room = [max(step, gap) for step, gap in zip(slid.strides, slid.dilations, strict=True)]
    fits = all(0 <= more < most for more, most in zip(extra, room, strict=True))
    if begins == ends and min(begins) >= 0 and fits:
        return TRANSPOSED[rank](x, weight, bias, slid.strides, begins, extra, group, slid.dilations)
    full = TRANSPOSED[rank](x, weight, None, slid.strides, 0, 0, group, slid.dilations)
    tail = [more - end for more, end in zip(extra, ends, strict=True)]
    y = functional.pad(full, torch_order([-begin for begin in begins] + tail))
    return y if bias is None else y + bias.reshape((-1,) + (1,) * rank)


def _fitted(x: Tensor, slid: Window, extra: list[int], target: list[int], *, lower: bool) -> tuple[Window, list[int]]:
    """Return the window and output padding that make the output `target` large."""
    less, more, added = [], [], []
    for axis, size in enumerate(target):
        full = slid.strides[axis] * (x.shape[2 + axis] - 1) + slid.reach(axis) + extra[axis]
        surplus = max(0, full - size)
        less.append(surplus // 2)
        more.append(surplus - surplus // 2)
        added.append(extra[axis] + max(0, size - full))
    return slid._replace(pads=more + less if lower else less + more), added


def _rank(x: Tensor) -> int:
    rank = x.dim() - 2
    if rank not in CONV:
        msg = f"A convolution over {rank} axes is not supported; 1, 2 and 3 are."
        raise UnsupportedModel(msg)
    return rank


@op("Col2Im")
def col_to_image(
    x: Tensor,
    image: Tensor,
    block: Tensor,
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Columns of blocks [batch, channels · block, positions] added up to an image."""
    sizes, kernel = integers(image), integers(block)
    rank = len(sizes)
    slid = window(sizes, kernel, strides, dilations, pads, "NOTSET")
    padded = [size + slid.pads[axis] + slid.pads[axis + rank] for axis, size in enumerate(sizes)]
    line = torch.zeros([1] * (2 * rank), dtype=torch.int64, device=x.device)
    for axis in range(rank):
        line = line * padded[axis] + _positions(slid, padded[axis], axis, rank, x.device)
    columns = x.reshape(len(x), -1, line.numel())
    area = torch.Size(padded).numel()
    flat = x.new_zeros(len(x), columns.shape[1], area).index_add(2, line.reshape(-1), columns)
    begins = slid.pads[:rank]
    inner = tuple(slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True))
    return flat.reshape(*flat.shape[:2], *padded)[(slice(None), slice(None), *inner)]


def _positions(slid: Window, size: int, axis: int, rank: int, device: torch.device) -> Tensor:
    """Return where along an axis each kernel element of each position lies, shaped to broadcast."""
    steps = (size - slid.reach(axis)) // slid.strides[axis] + 1
    taps = torch.arange(slid.kernel[axis], device=device).reshape(-1, 1) * slid.dilations[axis]
    where = taps + torch.arange(steps, device=device) * slid.strides[axis]
    shape = [1] * (2 * rank)
    shape[axis], shape[rank + axis] = where.shape
    return where.reshape(shape)
