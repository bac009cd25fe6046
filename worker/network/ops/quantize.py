"""Quantization: real numbers as whole ones (or as floats of eight bits and less) in steps of a scale.

Nothing passes a gradient but `StraightThrough`, which is no operator of ONNX's: `worker.network.straight` puts it in
the place of a DequantizeLinear that undoes a QuantizeLinear.
"""

import torch
from torch import Tensor

from worker.network.dtypes import dtype
from worker.network.lowbit import cast, limits, wide
from worker.network.ops import beside, op

MICROSOFT, OWN = "com.microsoft", "gradgate"


def _spread(values: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """Return scales or zero points so that they broadcast over x: one, one per slice, or one per block."""
    (there,) = beside(x, wide(values))
    if block:
        return there.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    if there.dim() != 1 or len(there) == 1:
        return there.reshape([1] * x.dim()) if there.numel() == 1 else there
    return there.reshape([-1 if each == axis % x.dim() else 1 for each in range(x.dim())])


@op("QuantizeLinear", domain=MICROSOFT, gradient=False)
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
    """x / scale, rounded to the nearest number of the type, plus the zero point; what is out of range stops there."""
    kind = zero.dtype if zero is not None else dtype(output_dtype) if output_dtype else torch.uint8
    steps = _spread(scale, x, axis, block_size)
    steps = steps.to(dtype(precision)) if precision else steps
    scaled = x.to(steps.dtype) / steps
    if kind.is_floating_point:
        return cast(scaled, kind, saturate=bool(saturate))
    whole = torch.round(scaled)
    shifted = whole if zero is None else whole + _spread(zero, x, axis, block_size).to(whole.dtype)
    return cast(shifted.clamp(*limits(kind)), kind)


@op("DequantizeLinear", domain=MICROSOFT, gradient=False)
@op("DequantizeLinear", gradient=False)
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
    steps = _spread(scale, x, axis, block_size)
    held = wide(x)
    held = held if held.is_floating_point() else held.to(torch.int32)
    shifted = held if zero is None else held - _spread(zero, x, axis, block_size).to(held.dtype)
    return (shifted.to(steps.dtype) * steps).to(dtype(output_dtype) if output_dtype else steps.dtype)


@op("StraightThrough", domain=OWN, fixed=("scale", "zero", "quantized"))
def straight_through(
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None,
    quantized: Tensor,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Tensor:
    """x as its quantized form says, and the gradient as if x were only clamped to what that form can represent.

    Bengio, Léonard and Courville 2013, section 4; Jacob et al. 2018, section 3.
    """
    y = dequantize(quantized, scale, zero, axis=axis, block_size=block_size, output_dtype=output_dtype)
    steps = _spread(scale, x, axis, block_size)
    shift = 0 if zero is None else _spread(zero, x, axis, block_size).to(steps.dtype)
    low, high = ((end - shift) * steps for end in limits(quantized.dtype))
    inside = torch.where((x >= low) & (x <= high), x, 0).to(y.dtype)
    return y + (inside - inside.detach())


@op("DynamicQuantizeLinear", gradient=False)
def quantize_by_range(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """X in 256 steps over its own range, with the scale and zero point that were chosen."""
    low, high = x.min().clamp(max=0), x.max().clamp(min=0)
    scale = (high - low) / 255
    zero = torch.round(-low / scale).clamp(0, 255)
    return (torch.round(x / scale) + zero).clamp(0, 255).to(torch.uint8), scale, zero.to(torch.uint8)
