"""Operators on quantized numbers, against onnxruntime: the same steps, but for what rounding may move by one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

Oracle = Callable[..., float]
Ours = Callable[..., list[Tensor]]
KINDS = [torch.uint8, torch.int8]
PAIRS = [(torch.uint8, torch.uint8), (torch.uint8, torch.int8), (torch.int8, torch.int8)]
"""The types of activations and weights that onnxruntime takes together."""
STEP = 1.01 / 80
"""One step of numbers that reach eighty at least."""


def numbers(kind: torch.dtype, *shape: int) -> Tensor:
    info = torch.iinfo(kind)
    return torch.randint(info.min, info.max + 1, shape).to(kind)


def scale(value: float) -> Tensor:
    return torch.tensor(value)


def zero(kind: torch.dtype, value: int) -> Tensor:
    return torch.tensor(value, dtype=kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("other", [(2, 3, 4), (4,), (3, 1), ()])
@pytest.mark.parametrize("after", [(), (100,)])
def test_two_operands_are_combined(
    oracle: Oracle, kind: torch.dtype, op: str, other: tuple[int, ...], after: tuple[int, ...]
) -> None:
    a, b = (numbers(kind, 2, 3, 4), scale(0.05), zero(kind, 3)), (numbers(kind, *other), scale(0.03), zero(kind, 7))
    oracle(op, *a, *b, scale(0.1), *(zero(kind, each) for each in after), tolerance=STEP)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("op", "given"), [("QLinearSigmoid", {}), ("QLinearLeakyRelu", {"alpha": 0.1})])
def test_an_activation_is_quantized(oracle: Oracle, kind: torch.dtype, op: str, given: dict[str, float]) -> None:
    x = torch.arange(torch.iinfo(kind).min, torch.iinfo(kind).max + 1).to(kind)
    oracle(op, x, scale(0.05), zero(kind, 3), scale(0.01), zero(kind, 5), tolerance=STEP, **given)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("axis", "opset"), [(-1, 13), (1, 13), (1, 12), (2, 11), (0, 13)])
def test_a_softmax_is_quantized(oracle: Oracle, kind: torch.dtype, axis: int, opset: int) -> None:
    x = numbers(kind, 2, 3, 4)
    peak = zero(kind, torch.iinfo(kind).min)
    for step in (1 / 256, 0.0041):
        inputs = (x, scale(0.02), zero(kind, 3), scale(step), peak)
        oracle("QLinearSoftmax", *inputs, axis=axis, opset=opset, tolerance=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_parts_are_joined_at_one_scale(oracle: Oracle, kind: torch.dtype, axis: int) -> None:
    parts = [each for size in (0.05, 0.02, 0.1) for each in (numbers(kind, 2, 3, 4), scale(size), zero(kind, 7))]
    oracle("QLinearConcat", scale(0.08), zero(kind, 5), *parts, axis=axis, tolerance=STEP)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", [(2, 3, 4), (4,), ()])
def test_one_of_two_is_chosen(oracle: Oracle, kind: torch.dtype, other: tuple[int, ...]) -> None:
    x, y = (numbers(kind, 2, 3, 4), scale(0.05), zero(kind, 3)), (numbers(kind, *other), scale(0.02), zero(kind, 9))
    condition = torch.rand(2, 3, 1) > 0.5
    oracle("QLinearWhere", condition, *x, *y, scale(0.08), zero(kind, 5), tolerance=STEP)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize(
    "window",
    [
        {},
        {"pads": (1, 0, 0, 1), "strides": (2, 1)},
        {"pads": (1, 0, 0, 1), "strides": (2, 1), "count_include_pad": 1},
        {"ceil_mode": 1, "strides": (2, 2)},
    ],
)
def test_windows_are_averaged(oracle: Oracle, kind: torch.dtype, last: int, window: dict[str, Any]) -> None:
    x = numbers(kind, 2, 7, 8, 3) if last else numbers(kind, 2, 3, 7, 8)
    inputs = (x, scale(0.05), zero(kind, 3), scale(0.03), zero(kind, 5))
    oracle("QLinearAveragePool", *inputs, kernel_shape=(3, 2), channels_last=last, tolerance=STEP, **window)
    oracle("QLinearGlobalAveragePool", *inputs, channels_last=last, tolerance=STEP)


def test_quantized_numbers_are_averaged_over_axes(ours: Ours) -> None:
    x = numbers(torch.uint8, 2, 3, 4)
    given = (scale(0.05), zero(torch.uint8, 3), scale(0.03), zero(torch.uint8, 5))
    (y,) = ours("QLinearReduceMean", x, *given, axes=(0, 2), keepdims=1)
    expected = (0.05 * (x.double() - 3)).mean((0, 2), keepdim=True) / 0.03 + 5
    assert (y.double() - expected).abs().max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("x_kind", "w_kind"), PAIRS)
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("window", [{}, {"pads": (1, 0, 0, 1), "strides": (2, 1)}, {"group": 2, "dilations": (2, 1)}])
@pytest.mark.parametrize("channels", [False, True])
def test_a_convolution_is_quantized(  # noqa: PLR0917  the truth and what varies
    oracle: Oracle,
    x_kind: torch.dtype,
    w_kind: torch.dtype,
    last: int,
    window: dict[str, Any],
    channels: bool,  # noqa: FBT001
) -> None:
    x = numbers(x_kind, 2, 7, 8, 4) if last else numbers(x_kind, 2, 4, 7, 8)
    weight = numbers(w_kind, 6, 4 // window.get("group", 1), 3, 2)
    scales = 0.01 + 0.02 * torch.rand(6) if channels else scale(0.02)
    zeros = (torch.zeros(6) if channels else torch.tensor(3)).to(w_kind)
    bias = torch.randint(-1000, 1000, (6,), dtype=torch.int32)
    inputs = (x, scale(0.05), zero(x_kind, 3), weight, scales, zeros, scale(2.0), zero(x_kind, 5), bias)
    oracle("QLinearConv", *inputs, channels_last=last, held=range(1, 9), tolerance=STEP, **window)


@pytest.mark.parametrize(("a_kind", "b_kind"), PAIRS)
@pytest.mark.parametrize("turned", [{}, {"transA": 1}, {"transB": 1, "alpha": 0.5}])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("form", ["floats", "steps"])
def test_a_gemm_is_quantized(  # noqa: PLR0917  the truth and what varies
    oracle: Oracle,
    a_kind: torch.dtype,
    b_kind: torch.dtype,
    turned: dict[str, Any],
    columns: bool,  # noqa: FBT001
    form: str,
) -> None:
    a = numbers(a_kind, *((4, 3) if turned.get("transA") else (3, 4)))
    b = numbers(b_kind, *((5, 4) if turned.get("transB") else (4, 5)))
    scales = 0.01 + 0.02 * torch.rand(5) if columns else scale(0.02)
    zeros = torch.randint(0, 9, (5,)).to(b_kind) if columns else zero(b_kind, 3)
    bias = torch.randint(-1000, 1000, (5,), dtype=torch.int32)
    after = (scale(2.0), zero(a_kind, 5)) if form == "steps" else ()
    kinds = [a_kind if form == "steps" else torch.float32]
    inputs = (a, scale(0.05), zero(a_kind, 3), b, scales, zeros, bias, *after)
    oracle("QGemm", *inputs, outputs=kinds, tolerance=STEP if after else 2e-5, **turned)


@pytest.mark.parametrize(("a_kind", "b_kind"), PAIRS)
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_products_of_bytes_are_floats(  # noqa: PLR0917  the truth and what varies
    oracle: Oracle,
    a_kind: torch.dtype,
    b_kind: torch.dtype,
    columns: bool,  # noqa: FBT001
    shifted: bool,  # noqa: FBT001
    biased: bool,  # noqa: FBT001
) -> None:
    b = numbers(b_kind, 4, 5)
    scales = 0.01 + 0.02 * torch.rand(5) if columns else scale(0.02)
    zeros = torch.randint(0, 9, (5,)).to(b_kind) if columns else zero(b_kind, 3)
    bias = torch.randn(5) if biased else None
    shift = (zero(a_kind, 3), zeros) if shifted else (None, None)
    oracle("MatMulIntegerToFloat", numbers(a_kind, 2, 3, 4), b, scale(0.05), scales, *shift, bias)
    floats = torch.randn(2, 3, 4)
    oracle("DynamicQuantizeMatMul", floats, b, scales, shift[1], bias, held=(1, 2, 3) if shifted else (1, 2))


def test_products_of_sixteen_bits_are_whole(oracle: Oracle) -> None:
    a, b = (torch.randint(-3000, 3000, shape, dtype=torch.int16) for shape in ((2, 3, 4), (4, 5)))
    oracle("MatMulInteger16", a, b, tolerance=0)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("given", [{}, {"unidirectional": 1}, {"scale": 0.3, "mask_filter_value": -5.0}])
@pytest.mark.parametrize("past", [False, True])
def test_attention_is_quantized(
    oracle: Oracle,
    kind: torch.dtype,
    columns: bool,  # noqa: FBT001
    given: dict[str, Any],
    past: bool,  # noqa: FBT001
) -> None:
    scales = 0.01 + 0.005 * torch.rand(36) if columns else scale(0.01)
    zeros = torch.randint(0, 9, (36,)).to(kind) if columns else zero(kind, 3)
    before = torch.randn(2, 2, 3, 3, 4) if past else None
    mask = torch.tensor([4, 5 + 3 * past], dtype=torch.int32)
    inputs = (numbers(torch.uint8, 2, 5, 8), numbers(kind, 8, 36), torch.randn(36), scale(0.02), scales)
    after = (mask, zero(torch.uint8, 128), zeros, before)
    oracle("QAttention", *inputs, *after, outputs=2, num_heads=3, held=(1, 2, 3, 4, 6, 7), **given)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("segmented", [False, True])
def test_embeddings_are_quantized(oracle: Oracle, kind: torch.dtype, *, segmented: bool) -> None:
    ids = torch.randint(0, 2, (2, 5), dtype=torch.int32)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.int32)
    tables: list[Tensor | None] = [numbers(kind, *shape) for shape in ((11, 8), (6, 8), (2, 8), (8,), (8,))]
    scales: list[Tensor | None] = [scale(each) for each in (0.02, 0.01, 0.03, 0.02, 0.01)]
    zeros: list[Tensor | None] = [zero(kind, each) for each in (1, 2, 3, 4, 5)]
    if not segmented:
        tables[2] = scales[2] = zeros[2] = None
    inputs = (ids, ids if segmented else None, *tables, mask, *scales, *zeros)
    oracle("QEmbedLayerNormalization", *inputs, outputs=2, epsilon=1e-5, tolerance=1e-4)
