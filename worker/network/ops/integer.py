"""Products and convolutions of quantized numbers; no gradient passes through them."""

from typing import Any

import torch
from torch import Tensor

from worker.network.lowbit import limits
from worker.network.ops import op
from worker.network.ops.standard import MICROSOFT, standard


def _along(values: Tensor, axis: int, rank: int) -> Tensor:
    """Return scales or zero points, one or one per slice of `axis`, so that they broadcast over `rank` axes."""
    if values.dim() > 1 or values.numel() == 1:
        return values if values.numel() > 1 else values.reshape([1] * rank)
    return values.reshape([-1 if each == axis % rank else 1 for each in range(rank)])


def _centred(x: Tensor, zero: Tensor | None, axis: int) -> Tensor:
    """Return x less its zero point, in float64: sums of products of bytes are exact there."""
    wide = x.double()
    return wide if zero is None else wide - _along(zero.to(x.device), axis, x.dim()).double()


def _product(a: Tensor, b: Tensor, a_zero: Tensor | None, b_zero: Tensor | None) -> Tensor:
    return torch.matmul(_centred(a, a_zero, -2), _centred(b, b_zero, -1))


def _requantized(real: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """Return real numbers in steps of a scale, in the zero point's type."""
    kind = torch.uint8 if zero is None else zero.dtype
    shift = 0 if zero is None else zero.double()
    return (torch.round(real / scale.double()) + shift).clamp(*limits(kind)).to(kind)


@op("MatMulInteger", gradient=False)
def mat_mul_integer(a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None) -> Tensor:
    """The product of matrices of bytes, less their zero points, as int32."""
    return _product(a, b, a_zero, b_zero).to(torch.int32)


@op("QLinearMatMul", gradient=False)
def q_linear_mat_mul(  # noqa: PLR0917  the specification's inputs
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
) -> Tensor:
    """The product of quantized matrices, quantized again."""
    scales = _along(a_scale, -2, a.dim()).double() * _along(b_scale, -1, b.dim()).double()
    return _requantized(_product(a, b, a_zero, b_zero) * scales, y_scale, y_zero)


def _convolution(x: Tensor, weight: Tensor, sliding: dict[str, Any]) -> Tensor:
    y: Tensor = standard("Conv")(x, weight, **sliding)
    return y


@op("ConvInteger", gradient=False)
def conv_integer(
    x: Tensor,
    weight: Tensor,
    x_zero: Tensor | None = None,
    weight_zero: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Tensor:
    """The convolution of bytes, less their zero points, as int32."""
    given = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "pads": pads, "strides": strides}
    return _convolution(_centred(x, x_zero, 1), _centred(weight, weight_zero, 0), given).to(torch.int32)


@op("QLinearConv", gradient=False)
def q_linear_conv(  # noqa: PLR0917  the specification's inputs
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    weight_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    kernel_shape: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Tensor:
    """The convolution of quantized numbers, quantized again; the bias is in steps of both scales."""
    given = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "pads": pads, "strides": strides}
    whole = _convolution(_centred(x, x_zero, 1), _centred(weight, weight_zero, 0), given)
    whole = whole if bias is None else whole + _along(bias, 1, whole.dim()).double()
    return _requantized(whole * x_scale.double() * _along(weight_scale, 1, whole.dim()).double(), y_scale, y_zero)


@op("QGemm", domain=MICROSOFT, gradient=False)
def q_gemm(  # noqa: PLR0917  the specification's inputs
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    bias: Tensor | None = None,
    y_scale: Tensor | None = None,
    y_zero: Tensor | None = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803  the specification's name
    transB: int = 0,  # noqa: N803  the specification's name
) -> Tensor:
    """Alpha a b plus a bias in steps of both scales: real numbers, or quantized again where there is a scale for it."""
    left = _centred(a, a_zero, 0)
    right = _centred(b, b_zero, 0 if transB else 1)
    whole = torch.matmul(left.mT if transA else left, right.mT if transB else right)
    whole = whole if bias is None else whole + bias.double()
    real = whole * alpha * a_scale.double() * b_scale.double()
    return real.to(a_scale.dtype) if y_scale is None else _requantized(real, y_scale, y_zero)


@op("MatMulIntegerToFloat", domain=MICROSOFT, gradient=False)
def mat_mul_integer_to_float(  # noqa: PLR0917  the specification's inputs
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """The product of quantized matrices, plus a bias, as real numbers."""
    scales = a_scale.double() * _along(b_scale, -1, b.dim()).double()
    real = _product(a, b, a_zero, b_zero) * scales
    return (real if bias is None else real + bias.double()).to(a_scale.dtype)


@op("DynamicQuantizeMatMul", domain=MICROSOFT, gradient=False)
def dynamic_quantize_mat_mul(
    a: Tensor, b: Tensor, b_scale: Tensor, b_zero: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """A in 256 steps over its own range times a quantized matrix, plus a bias, as real numbers."""
    quantized, scale, zero = standard("DynamicQuantizeLinear")(a)
    return mat_mul_integer_to_float(quantized, b, scale, b_scale, zero, b_zero, bias)
