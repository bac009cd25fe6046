"""Quantization to whole numbers; no gradient passes through it."""

import torch
from torch import Tensor

from service.contract.problem import UnsupportedModel
from worker.network.dtypes import dtype
from worker.network.ops import beside, op


def _spread(values: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """Return scales or zero points so that they broadcast over x: one, one per slice, or one per block."""
    (there,) = beside(x, values)
    if block:
        return there.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    if there.dim() != 1 or len(there) == 1:
        return there.reshape([1] * x.dim()) if there.numel() == 1 else there
    return there.reshape([-1 if each == axis % x.dim() else 1 for each in range(x.dim())])


@op("QuantizeLinear", gradient=False)
def quantize(
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Tensor:
    """x / scale, rounded to the nearest whole number, plus the zero point."""
    kind = zero.dtype if zero is not None else dtype(output_dtype) if output_dtype else torch.uint8
    if kind.is_floating_point:
        msg = f"Quantization to {kind} is not supported."
        raise UnsupportedModel(msg)
    limits = torch.iinfo(kind)
    whole = torch.round(x / _spread(scale, x, axis, block_size).to(x.dtype))
    shifted = whole if zero is None else whole + _spread(zero, x, axis, block_size).to(x.dtype)
    return shifted.clamp(limits.min, limits.max).to(kind)


@op("DequantizeLinear")
def dequantize(
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Tensor:
    """(x - zero point) times scale."""
    kind = dtype(output_dtype) if output_dtype else scale.dtype
    wide = x.to(torch.int64) if not x.is_floating_point() else x
    shifted = wide if zero is None else wide - _spread(zero, x, axis, block_size).to(wide.dtype)
    return (shifted.to(scale.dtype) * _spread(scale, x, axis, block_size)).to(kind)


@op("DynamicQuantizeLinear")
def quantize_by_range(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """X in 256 steps over its own range, with the scale and zero point that were chosen."""
    low, high = x.min().clamp(max=0), x.max().clamp(min=0)
    scale = (high - low) / 255
    zero = torch.round(-low / scale).clamp(0, 255)
    return (torch.round(x / scale) + zero).clamp(0, 255).to(torch.uint8), scale, zero.to(torch.uint8)
