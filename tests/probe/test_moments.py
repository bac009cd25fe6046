"""Moments against float64, where float32 bears them and where it does not."""

import math

import pytest
import torch
from torch import Tensor

from tests.probe.subjects import normal
from worker.probe.moments import moments, norms

NUMBERS = normal(300, 400)
TENSORS: dict[str, Tensor] = {
    "normal": NUMBERS,
    "sparse": NUMBERS.relu(),
    "all zero": torch.zeros(50),
    "one number": torch.tensor(3.0),
    "far from zero": NUMBERS + 1e4,
    "squares overflow": NUMBERS * 1e30,
    "squares underflow": NUMBERS * 1e-30,
    "halves": NUMBERS.half(),
    "turned": NUMBERS.T,
    "with infinities": torch.cat([NUMBERS[0], torch.tensor([math.inf, math.nan])]),
    "nothing finite": torch.full((3,), math.nan),
    "empty": torch.zeros(0, 4),
}


@pytest.mark.parametrize("name", TENSORS)
def test_moments_are_those_of_float64(name: str) -> None:
    value = TENSORS[name].double()
    finite = value[value.isfinite()]
    found = moments({"other": NUMBERS, name: TENSORS[name]})[name]
    expected = (
        [float(finite.mean()), float(finite.square().mean().sqrt()), float(finite.std(correction=0))]
        if finite.numel()
        else [0.0] * 3
    )
    assert [found.mean, found.rms, found.std] == pytest.approx(expected, rel=2e-4, abs=1e-40)
    assert found.rms == pytest.approx(expected[1], rel=1e-6)
    assert found.zero == pytest.approx(float((value == 0).double().mean()) if value.numel() else 0.0, abs=1e-6)
    assert found.nonfinite == pytest.approx(1 - finite.numel() / max(value.numel(), 1))


@pytest.mark.parametrize("name", TENSORS)
def test_norms_are_those_of_float64(name: str) -> None:
    value = TENSORS[name].double()
    finite = value[value.isfinite()]
    found = norms({name: TENSORS[name]})[name]
    assert found.norm == pytest.approx(float(finite.norm()), rel=1e-6)
    assert found.rms == pytest.approx(float(finite.norm()) / max(finite.numel(), 1) ** 0.5, rel=1e-6)
    assert found.nonfinite == pytest.approx(1 - finite.numel() / max(value.numel(), 1))
