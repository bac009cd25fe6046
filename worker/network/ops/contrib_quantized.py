"""onnxruntime's operators on quantized numbers: made real, computed, quantized again.  No gradient passes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from worker.network.ops import op
from worker.network.ops.standard import MICROSOFT, standard

SEPARATE = 13
"""The version of ai.onnx from which on a softmax is over one axis."""


def _real(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    real: Tensor = standard("DequantizeLinear")(x, scale, zero)
    return real


def _quantized(real: Tensor, scale: Tensor, zero: Tensor | None, like: Tensor) -> Tensor:
    steps: Tensor = standard("QuantizeLinear")(real, scale, like.new_zeros(()) if zero is None else zero)
    return steps


def _pairwise(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Register an operator of two quantized inputs, element by element."""

    @op(name, domain=MICROSOFT, gradient=False)
    def binary(  # noqa: PLR0917  the specification's inputs
        a: Tensor,
        a_scale: Tensor,
        a_zero: Tensor | None,
        b: Tensor,
        b_scale: Tensor,
        b_zero: Tensor | None,
        y_scale: Tensor,
        y_zero: Tensor | None = None,
    ) -> Tensor:
        exact = function(_real(a, a_scale.double(), a_zero), _real(b, b_scale.double(), b_zero))
        return _quantized(exact, y_scale.double(), y_zero, a)


_pairwise("QLinearAdd", torch.add)
_pairwise("QLinearMul", torch.mul)


@op("QLinearSigmoid", domain=MICROSOFT, gradient=False)
def q_linear_sigmoid(
    x: Tensor, x_scale: Tensor, x_zero: Tensor | None, y_scale: Tensor, y_zero: Tensor | None = None
) -> Tensor:
    """The logistic function of quantized numbers, quantized again."""
    return _quantized(torch.sigmoid(_real(x, x_scale, x_zero)), y_scale, y_zero, x)


@op("QLinearLeakyRelu", domain=MICROSOFT, gradient=False)
def q_linear_leaky_relu(
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
    *,
    alpha: float = 0.01,
) -> Tensor:
    """x where it is positive, alpha x elsewhere, of quantized numbers, quantized again."""
    return _quantized(standard("LeakyRelu")(_real(x, x_scale, x_zero), alpha=alpha), y_scale, y_zero, x)


@op("QLinearGlobalAveragePool", domain=MICROSOFT, gradient=False)
def q_linear_global_average_pool(
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
    *,
    channels_last: int = 0,
) -> Tensor:
    """The mean over all places of quantized numbers, quantized again."""
    axes = list(range(1, x.dim() - 1)) if channels_last else list(range(2, x.dim()))
    return _quantized(_real(x, x_scale, x_zero).mean(axes, keepdim=True), y_scale, y_zero, x)


@op("QLinearConcat", domain=MICROSOFT, gradient=False)
def q_linear_concat(scale: Tensor, zero: Tensor, *parts: Tensor, axis: int) -> Tensor:
    """Quantized parts, each with its scale and zero point, joined along an axis at one scale."""
    real = [_real(*parts[place : place + 3]) for place in range(0, len(parts), 3)]
    return _quantized(torch.cat(real, axis), scale, zero, zero)


@op("QLinearWhere", domain=MICROSOFT, gradient=False)
def q_linear_where(  # noqa: PLR0917  the specification's inputs
    condition: Tensor,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    y: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    z_scale: Tensor,
    z_zero: Tensor,
) -> Tensor:
    """Quantized x where the condition holds, y elsewhere, at one scale."""
    return _quantized(torch.where(condition, _real(x, x_scale, x_zero), _real(y, y_scale, y_zero)), z_scale, z_zero, x)


@op("QLinearSoftmax", domain=MICROSOFT, gradient=False)
def q_linear_softmax(
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None,
    *,
    opset: int,
    axis: int | None = None,
) -> Tensor:
    """Softmax of quantized numbers, quantized again: over one axis, or over all from it on in older versions.

    One is a whole number of steps, as in onnxruntime: the scale's inverse, rounded down.
    """
    along = (-1 if opset >= SEPARATE else 1) if axis is None else axis
    shares = standard("Softmax", opset)(_real(x, x_scale, x_zero), axis=along)
    return _quantized(shares, torch.floor(y_scale.reciprocal()).reciprocal(), y_zero, x)


@op("QLinearReduceMean", domain=MICROSOFT, gradient=False)
def q_linear_reduce_mean(
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
    *,
    axes: Sequence[int],
    keepdims: int,
) -> Tensor:
    """The mean of quantized numbers over axes, quantized again."""
    return _quantized(_real(x, x_scale, x_zero).mean(list(axes), keepdim=bool(keepdims)), y_scale, y_zero, x)


@op("QLinearAveragePool", domain=MICROSOFT, gradient=False)
def q_linear_average_pool(
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    channels_last: int = 0,
    count_include_pad: int = 0,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The mean of each window of quantized numbers, quantized again."""
    sliding = {"auto_pad": auto_pad, "ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    real = _real(x.movedim(-1, 1) if channels_last else x, x_scale, x_zero)
    mean = standard("AveragePool")(real, kernel_shape=kernel_shape, pads=pads, strides=strides, **sliding)
    return _quantized(mean.movedim(1, -1) if channels_last else mean, y_scale, y_zero, x)


@op("QLinearConv", domain=MICROSOFT, gradient=False)
def q_linear_conv(
    x: Tensor,
    *others: Tensor | None,
    auto_pad: str = "NOTSET",
    channels_last: int = 0,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The convolution of quantized numbers, which may have their channels last, quantized again."""
    sliding = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "pads": pads, "strides": strides}
    y: Tensor = standard("QLinearConv")(x.movedim(-1, 1) if channels_last else x, *others, **sliding)
    return y.movedim(1, -1) if channels_last else y


@op("MatMulInteger16", domain=MICROSOFT, gradient=False)
def mat_mul_integer(a: Tensor, b: Tensor) -> Tensor:
    """The product of matrices of 16-bit numbers, as int32."""
    return torch.matmul(a.to(torch.int64), b.to(torch.int64)).to(torch.int32)


@op("QAttention", domain=MICROSOFT, gradient=False)
def q_attention(  # noqa: PLR0917  the specification's inputs
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    x_scale: Tensor,
    weight_scale: Tensor,
    mask: Tensor | None = None,
    x_zero: Tensor | None = None,
    weight_zero: Tensor | None = None,
    past: Tensor | None = None,
    *,
    num_heads: int,
    do_rotary: int = 0,
    mask_filter_value: float = -10000.0,
    past_present_share_buffer: int = 0,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> tuple[Tensor | None, ...]:
    """Self-attention of quantized x, whose queries, keys and values are one product with quantized weights."""
    given: dict[str, Any] = {"scale": scale, "unidirectional": unidirectional, "mask_filter_value": mask_filter_value}
    shared = {"do_rotary": do_rotary, "past_present_share_buffer": past_present_share_buffer}
    inputs = (_real(x, x_scale, x_zero), _columns(weight, weight_scale, weight_zero), bias, mask, past)
    seen: tuple[Tensor | None, ...]
    seen = standard("Attention", 1, MICROSOFT)(*inputs, num_heads=num_heads, **given, **shared)
    return seen


def _columns(weight: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """Return quantized weights as real ones, with one scale for all or one per column."""
    shift = 0 if zero is None else zero.to(torch.int32)
    return (weight.to(torch.int32) - shift).to(scale.dtype) * scale


@op("QEmbedLayerNormalization", domain=MICROSOFT, gradient=False)
def q_embed_layer_normalization(  # noqa: PLR0917  the specification's inputs
    input_ids: Tensor,
    segment_ids: Tensor | None,
    words: Tensor,
    positions: Tensor,
    segments: Tensor | None,
    gamma: Tensor,
    beta: Tensor,
    mask: Tensor | None,
    *quantization: Tensor,
    epsilon: float = 1e-12,
) -> tuple[Tensor | None, ...]:
    """EmbedLayerNormalization of quantized tables, scale and shift; their five scales and five zero points follow."""
    tables = (words, positions, segments, gamma, beta)
    real = [
        None if table is None else _real(table, scale, zero)
        for table, scale, zero in zip(tables, quantization[:5], quantization[5:], strict=True)
    ]
    made: tuple[Tensor | None, ...]
    made = standard("EmbedLayerNormalization", 1, MICROSOFT)(input_ids, segment_ids, *real, mask, epsilon=epsilon)
    return made[:2]
