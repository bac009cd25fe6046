"""Operators that ONNX gave up, against onnxruntime."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

Oracle = Callable[..., float]
Gradients = Callable[..., None]
CASES: list[tuple[str, tuple[int, ...], Mapping[str, Any]]] = [
    ("Affine", (2, 3), {"alpha": 2.0, "beta": -0.5}),
    ("Affine", (2, 3), {}),
    ("Scale", (2, 3), {"scale": 3.0}),
    ("Scale", (2, 3), {}),
    ("ScaledTanh", (2, 3), {"alpha": 2.0, "beta": 0.5}),
    ("ParametricSoftplus", (2, 3), {"alpha": 2.0, "beta": 0.5}),
    ("ImageScaler", (2, 3, 4, 5), {"scale": 0.5, "bias": (1.0, 2.0, 3.0)}),
    ("Crop", (2, 3, 6, 7), {"border": (1, 2, 3, 1)}),
    ("Crop", (2, 3, 6, 7), {"border": (1, 2, 0, 0), "scale": (3, 2)}),
]


@pytest.mark.parametrize("opset", [7, 9])
@pytest.mark.parametrize(("op", "shape", "attributes"), CASES)
def test_an_experiment_is_onnxruntimes(
    oracle: Oracle, gradients: Gradients, *, op: str, shape: tuple[int, ...], attributes: Mapping[str, Any], opset: int
) -> None:
    x = torch.randn(shape)
    oracle(op, x, domain="", version=opset, **attributes)
    gradients(op, x, domain="", version=opset, **attributes)


@pytest.mark.parametrize("axes", [None, (0, 2), (-1, 1)])
def test_a_slice_may_take_its_bounds_as_inputs(
    oracle: Oracle, gradients: Gradients, axes: tuple[int, ...] | None
) -> None:
    x, starts, ends = torch.randn(3, 4, 5), torch.tensor([1, -3]), torch.tensor([100, -1])
    inputs = (x, starts, ends) if axes is None else (x, starts, ends, torch.tensor(axes))
    oracle("DynamicSlice", *inputs, domain="", version=9)
    gradients("DynamicSlice", *inputs, domain="", version=9)
