"""Operators on whole numbers, against onnxruntime; those of ONNX itself are in its own suite."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Oracle = Callable[..., float]
SCALE = torch.tensor(0.02)
WIDER = torch.tensor(0.05)
U8, I8 = torch.tensor(128, dtype=torch.uint8), torch.tensor(3, dtype=torch.int8)


def unsigned(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def signed(*shape: int) -> Tensor:
    return torch.randint(-128, 128, shape, dtype=torch.int8)


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize(("draw", "zero"), [(unsigned, U8), (signed, I8)])
def test_sums_and_products(oracle: Oracle, op: str, draw: Callable[..., Tensor], zero: Tensor) -> None:
    oracle(op, draw(3, 4), SCALE, zero, draw(3, 4), SCALE, zero, WIDER, zero)


@pytest.mark.parametrize("op", ["QLinearSigmoid", "QLinearLeakyRelu"])
@pytest.mark.parametrize(("draw", "zero"), [(unsigned, U8), (signed, I8)])
def test_activations(oracle: Oracle, op: str, draw: Callable[..., Tensor], zero: Tensor) -> None:
    oracle(op, draw(3, 40), SCALE, zero, torch.tensor(1 / 128), zero)


def test_the_mean_over_all_places(oracle: Oracle) -> None:
    oracle("QLinearGlobalAveragePool", unsigned(2, 3, 5, 5), SCALE, U8, SCALE, U8, channels_last=0)


@pytest.mark.parametrize("turned", [0, 1])
def test_dense_layers(oracle: Oracle, turned: int) -> None:
    weight = signed(4, 6) if turned else signed(6, 4)
    bias = torch.randint(-500, 500, (4,), dtype=torch.int32)
    zero = torch.tensor(0, dtype=torch.int8)
    oracle("QGemm", unsigned(3, 6), SCALE, U8, weight, SCALE, zero, bias, WIDER, U8, transB=turned, held=(3, 4, 5, 6))
    oracle("QGemm", unsigned(3, 6), SCALE, U8, weight, SCALE, zero, bias, transB=turned, held=(3, 4, 5, 6))


def test_products_that_end_in_real_numbers(oracle: Oracle) -> None:
    zero, scales = torch.zeros(4, dtype=torch.int8), torch.rand(4) / 10
    a, b, bias = unsigned(3, 6), signed(6, 4), torch.randn(4)
    oracle("MatMulIntegerToFloat", a, b, SCALE, scales, U8, zero, bias, held=(1, 3, 5))
    oracle("DynamicQuantizeMatMul", torch.randn(3, 6), b, scales, zero, bias, held=(1, 2, 3), tolerance=1e-3)
