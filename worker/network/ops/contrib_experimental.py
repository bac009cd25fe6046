"""Operators that were ONNX's experiments until its version 10, which onnxruntime still computes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.ops import integers, op


@op("Affine")
def affine(x: Tensor, *, alpha: float = 1.0, beta: float = 0.0) -> Tensor:
    """Alpha x + beta."""
    return alpha * x + beta


@op("Scale")
def scale(x: Tensor, *, scale: float = 1.0) -> Tensor:
    """X times scale."""
    return x * scale


@op("ScaledTanh")
def scaled_tanh(x: Tensor, *, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
    """Alpha tanh(beta x)."""
    return alpha * torch.tanh(beta * x)


@op("ParametricSoftplus")
def parametric_softplus(x: Tensor, *, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
    """Alpha ln(1 + e^(beta x))."""
    return alpha * torch.logaddexp(beta * x, x.new_zeros(()))


@op("ImageScaler")
def image_scaler(x: Tensor, *, bias: Sequence[float] = (), scale: float = 1.0) -> Tensor:
    """An image [batch, channels, height, width] times scale, plus each channel's bias."""
    return x * scale + x.new_tensor(list(bias)).reshape(-1, 1, 1) if bias else x * scale


@op("Crop")
def crop(x: Tensor, *, border: Sequence[int], scale: Sequence[int] | None = None) -> Tensor:
    """An image without its left, top, right and bottom border, or `scale` (height, width) of it from left and top."""
    left, top, right, bottom = border
    if scale is not None:
        return x[:, :, top : top + scale[0], left : left + scale[1]]
    return functional.pad(x, [-left, -right, -top, -bottom])


@op("DynamicSlice")
def dynamic_slice(data: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None) -> Tensor:
    """Data from starts to ends along axes."""
    along = range(len(starts)) if axes is None else integers(axes)
    for start, end, axis in zip(integers(starts), integers(ends), along, strict=True):
        begin, stop, _ = slice(start, end).indices(data.shape[axis])
        data = data.narrow(axis, begin, max(0, stop - begin))
    return data
