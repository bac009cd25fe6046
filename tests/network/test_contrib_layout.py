"""onnxruntime's operators that pick and place numbers or work on whole matrices, against onnxruntime."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[Tensor]]


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_an_axis_is_put_in(oracle: Oracle, gradients: Gradients, axis: int) -> None:
    inputs = (torch.randn(2, 3), torch.tensor(axis, dtype=torch.int32))
    oracle("ExpandDims", *inputs)
    gradients("ExpandDims", *inputs)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
@pytest.mark.parametrize("indices", [[[0, 1], [1, 0]], [[1], [0], [1]], [[[0, -1]], [[1, 2]]]])
def test_slices_are_gathered(oracle: Oracle, gradients: Gradients, kind: torch.dtype, indices: Any) -> None:  # noqa: ANN401  nested
    inputs = (torch.randn(2, 3, 4), torch.tensor(indices, dtype=kind))
    oracle("GatherND", *inputs)
    gradients("GatherND", *inputs)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
@pytest.mark.parametrize("pads", [[1, 2, 0, 1], [[1, 2, 0, 1]], [0, -1, 1, 0]])
def test_edges_are_added(oracle: Oracle, gradients: Gradients, mode: str, pads: Any) -> None:  # noqa: ANN401  nested
    inputs = (torch.randn(3, 4), torch.tensor(pads))
    if mode == "constant":
        oracle("Pad", *inputs, torch.tensor([2.5]), mode=mode)
    if mode == "constant" or (inputs[1] >= 0).all():
        oracle("Pad", *inputs, mode=mode)
        gradients("Pad", *inputs, mode=mode)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64, torch.float32, torch.float64, torch.int16])
@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("bounds", [(2, 11, 3), (9, 1, -2), (0, 5, None)])
def test_a_range_has_a_start_a_limit_and_a_step(
    oracle: Oracle, kind: torch.dtype, shape: tuple[int, ...], bounds: tuple[int | None, ...]
) -> None:
    oracle("Range", *(None if each is None else torch.full(shape, each, dtype=kind) for each in bounds))


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, 0, 1, -2])
def test_a_triangle_is_kept(oracle: Oracle, gradients: Gradients, upper: int, k: int | None) -> None:
    inputs = (torch.randn(2, 3, 4), None if k is None else torch.tensor(k))
    oracle("Trilu", *inputs, upper=upper)
    gradients("Trilu", *inputs, upper=upper)


def test_distinct_numbers_come_in_their_own_order(oracle: Oracle, gradients: Gradients) -> None:
    x = torch.tensor([2.0, 1.0, 1.0, 3.0, 4.0, 3.0])
    oracle("Unique", x, outputs=3)
    gradients("Unique", torch.tensor([2.0, 1.0, 5.0, 3.0]), outputs=3)


@pytest.mark.parametrize("given", [{"size": 2}, {"size": 3, "dim": 1, "step": 2}, {"size": 2, "dim": 0}])
def test_slices_lie_side_by_side(oracle: Oracle, gradients: Gradients, given: dict[str, int]) -> None:
    x = torch.randn(3, 6, 4)
    oracle("UnfoldTensor", x, **given)
    gradients("UnfoldTensor", x, **given)


def test_the_row_of_padding_learns_nothing(ours: Ours) -> None:
    table, where = torch.randn(5, 3), torch.tensor([[1, 2], [4, 1]])
    (y,) = ours("TorchEmbedding", table, where)
    torch.testing.assert_close(y, table[where])
    wanted = table.clone().requires_grad_()
    ours("TorchEmbedding", wanted, where, torch.tensor(1))[0].sum().backward()
    assert wanted.grad is not None
    assert wanted.grad.sum(1).tolist() == [0, 0, 3, 0, 3]


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [0, 1])
def test_an_image_is_read_at_a_grid(
    oracle: Oracle, gradients: Gradients, mode: str, padding: str, corners: int
) -> None:
    inputs = (torch.randn(2, 3, 4, 5), 2.4 * torch.rand(2, 3, 2, 2) - 1.2)
    oracle("GridSample", *inputs, mode=mode, padding_mode=padding, align_corners=corners, tolerance=2e-5)
    gradients("GridSample", *inputs, mode=mode, padding_mode=padding, align_corners=corners)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(3, 4), (1, 2), (5, 1)])
def test_boxes_are_cropped_and_resized(oracle: Oracle, gradients: Gradients, mode: str, size: tuple[int, int]) -> None:
    boxes = torch.tensor([[0.1, 0.2, 0.73, 0.91], [0.9, 0.05, 0.21, 0.6], [-0.4, 0.3, 0.52, 1.3], [0.0, 0.0, 1.0, 1.0]])
    samples = torch.tensor([0, 1, 1, 0], dtype=torch.int32)
    inputs = (torch.randn(2, 3, 6, 7), boxes, samples, torch.tensor(size, dtype=torch.int32))
    oracle("CropAndResize", *inputs, mode=mode, extrapolation_value=0.5)
    gradients("CropAndResize", inputs[0], boxes[:3] + 0.013, samples[:3], inputs[3], mode=mode)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16])
def test_matrices_are_inverted(oracle: Oracle, gradients: Gradients, kind: torch.dtype) -> None:
    x = torch.randn(2, 4, 4) + 4 * torch.eye(4)
    oracle("Inverse", x.to(kind), tolerance=2e-3 if kind == torch.float16 else 2e-5)
    gradients("Inverse", x)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_rows_are_apart(oracle: Oracle, gradients: Gradients, metric: str) -> None:
    inputs = (torch.randn(3, 5), torch.randn(4, 5))
    oracle("CDist", *inputs, metric=metric)
    oracle("CDist", *(each.double() for each in inputs), metric=metric)
    gradients("CDist", *inputs, metric=metric)


def test_another_metric_is_refused(ours: Ours) -> None:
    with pytest.raises(UnsupportedOperator, match="'cosine'"):
        ours("CDist", torch.randn(3, 5), torch.randn(4, 5), metric="cosine")


@pytest.mark.parametrize("axes", [1, 2])
def test_a_signal_is_its_transform_back(ours: Ours, gradients: Gradients, axes: int) -> None:
    x = torch.randn(2, 4, 6)
    (spectrum,) = ours("Rfft", x, signal_ndim=axes)
    steps = torch.arange(6.0)
    waves = torch.exp(-2j * torch.pi * torch.outer(torch.arange(4), steps) / 6)
    expected = torch.einsum("bct,ft->bcf", x.to(waves.dtype), waves)
    if axes == 1:
        torch.testing.assert_close(spectrum, torch.view_as_real(expected), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours("Irfft", spectrum, signal_ndim=axes)[0], x)
    gradients("Rfft", x, signal_ndim=axes)
    gradients("Irfft", torch.randn(2, 4, 4, 2), signal_ndim=axes)


def test_complex_numbers_are_multiplied(ours: Ours, gradients: Gradients) -> None:
    a, b = torch.randn(2, 3, 2), torch.randn(3, 2)
    (y,) = ours("ComplexMul", a, b)
    real = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1]
    torch.testing.assert_close(y, torch.stack([real, a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]], -1))
    conjugate = b * torch.tensor([1.0, -1.0])
    torch.testing.assert_close(ours("ComplexMulConj", a, b), ours("ComplexMul", a, conjugate))
    gradients("ComplexMul", a, b)
    gradients("ComplexMulConj", a, b)
