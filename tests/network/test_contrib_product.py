"""onnxruntime's fused products of matrices, against onnxruntime."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch.nn import functional

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[torch.Tensor]]
Shape = tuple[int, ...]
PRODUCTS: list[tuple[Shape, Shape, Mapping[str, float]]] = [
    ((2, 3, 4), (2, 4, 5), {}),
    ((2, 3, 4), (4, 5), {"alpha": 0.5}),
    ((2, 4, 3), (2, 4, 5), {"transA": 1}),
    ((2, 3, 4), (2, 5, 4), {"transB": 1, "alpha": -2.0}),
    ((4, 3), (5, 4), {"transA": 1, "transB": 1}),
    ((2, 2, 3, 4), (1, 2, 5, 4), {"transB": 1}),
    ((3, 2, 4), (2, 4, 5), {"transBatchA": 1}),
    ((4, 2, 3), (2, 4, 5), {"transBatchA": 1, "transA": 1}),
    ((2, 3, 4), (4, 2, 5), {"transBatchB": 1}),
    ((2, 3, 4), (5, 2, 4), {"transBatchB": 1, "transB": 1}),
    ((3, 2, 6, 4), (5, 2, 6, 4), {"transBatchA": 1, "transBatchB": 1, "transB": 1, "alpha": 0.25}),
    ((4,), (4, 5), {}),
    ((3, 4), (4,), {"alpha": 3.0}),
]


@pytest.mark.parametrize(("a", "b", "attributes"), PRODUCTS)
def test_a_fused_product_is_onnxruntimes(
    oracle: Oracle, gradients: Gradients, a: Shape, b: Shape, attributes: Mapping[str, float]
) -> None:
    left, right = torch.randn(a), torch.randn(b)
    oracle("FusedMatMul", left, right, **attributes)
    oracle("FusedMatMul", left.double(), right.double(), **attributes)
    gradients("FusedMatMul", left, right, **attributes)
    if not any("Batch" in name for name in attributes):
        oracle("TransposeMatMul", left, right, **attributes)
        gradients("TransposeMatMul", left, right, **attributes)


ACTIVATIONS: list[tuple[str, Mapping[str, float]]] = [
    ("Relu", {}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("Softplus", {}),
    ("Softsign", {}),
    ("Elu", {"activation_alpha": 0.5}),
    ("LeakyRelu", {"activation_alpha": 0.2}),
    ("ThresholdedRelu", {"activation_alpha": 0.3}),
    ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4}),
    ("Selu", {"activation_alpha": 1.5, "activation_gamma": 1.1}),
    ("ScaledTanh", {"activation_alpha": 1.5, "activation_beta": 0.6}),
    ("ParametricSoftplus", {"activation_alpha": 1.5, "activation_beta": 0.6}),
]


@pytest.mark.parametrize(("activation", "settings"), ACTIVATIONS)
def test_an_activation_follows_the_gemm(
    oracle: Oracle, gradients: Gradients, activation: str, settings: Mapping[str, float]
) -> None:
    inputs = (torch.randn(4, 3), torch.randn(5, 4), torch.randn(5))
    given = {"activation": activation, "transA": 1, "transB": 1, "alpha": 0.7, "beta": 0.3, **settings}
    oracle("FusedGemm", *inputs, **given)
    gradients("FusedGemm", *inputs, **given)


@pytest.mark.parametrize("bias", [None, (3, 5), (3, 1), ()])
def test_a_fused_gemm_adds_what_it_is_given(oracle: Oracle, gradients: Gradients, bias: Shape | None) -> None:
    inputs = (torch.randn(3, 4), torch.randn(4, 5), None if bias is None else torch.randn(bias))
    oracle("FusedGemm", *inputs, activation="Relu")
    gradients("FusedGemm", *inputs, activation="Tanh")


def test_an_activation_follows_the_product(ours: Ours, gradients: Gradients) -> None:
    a, b = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    (y,) = ours("FusedMatMulActivation", a, b, transB=1, alpha=0.5, activation="Softmax", activation_axis=-1)
    torch.testing.assert_close(y, torch.softmax(a @ b.mT / 2, -1))
    gradients("FusedMatMulActivation", a, b, transB=1, activation="LeakyRelu", activation_alpha=0.2)


@pytest.mark.parametrize("biased", [False, True])
def test_a_gelu_follows_the_gemm(ours: Ours, gradients: Gradients, *, biased: bool) -> None:
    x, w, bias = torch.randn(2, 3, 4), torch.randn(4, 5), torch.randn(5) if biased else None
    expected = functional.gelu(x @ w + (0 if bias is None else bias), approximate="tanh")
    torch.testing.assert_close(ours("GemmFastGelu", x, w, bias), [expected])
    gradients("GemmFastGelu", x, w, bias)
