"""Gradient noise against linear regression's closed form."""

import math
from dataclasses import replace

import pytest
import torch

from service.contract.words import LossName
from tests.probe.subjects import by_hand, dense, described, node, normal
from worker.loss import Loss
from worker.probe.evidence import Noise
from worker.probe.noise import measure_noise
from worker.subject import Subject


def regression(inputs: int, sigma: float, samples: int = 4096, seed: int = 0) -> Subject:
    """Return y = x w with targets x w' + σε, where ‖w − w'‖ = 1."""
    x, noise = normal(samples, inputs, seed=seed), normal(samples, 1, seed=seed + 100)
    weight, away = normal(inputs, 1, seed=seed + 200), normal(inputs, 1, seed=seed + 300)
    target = x @ (weight + away / away.norm()) + sigma * noise
    subject = by_hand([node("MatMul", "x w", "y")], {"w": weight}, {"x": x})
    return subject.replace(batch=replace(subject.batch, target=target))


def noise(subject: Subject) -> Noise:
    found = measure_noise(subject)
    assert isinstance(found, Noise)
    return found


@pytest.mark.parametrize(("inputs", "sigma"), [(50, 0.0), (50, 1.0), (50, 3.0), (10, 1.0)])
def test_the_noise_scale_of_linear_regression_is_its_closed_form(inputs: int, sigma: float) -> None:
    """(d + 1) + d·σ²/‖Δ‖² (McCandlish et al. 2018), within four standard errors of the mean over draws."""
    expected = inputs + 1 + inputs * sigma**2
    drawn = [noise(regression(inputs, sigma, seed=seed)) for seed in range(4)]
    error = math.sqrt(sum(each.standard_error**2 for each in drawn)) / len(drawn)
    assert sum(each.scale for each in drawn) / len(drawn) == pytest.approx(expected, abs=4 * error)
    assert error < 0.2 * expected
    assert all(each.lowest < expected for each in drawn)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_losss_scale_changes_nothing(scale: float) -> None:
    subject = regression(10, 1.0, samples=512)
    found, scaled = noise(subject), noise(subject.replace(loss=Loss(LossName.MSE, scale=scale)))
    assert scaled.scale == pytest.approx(found.scale, rel=1e-3)
    assert (scaled.tail, scaled.hill) == pytest.approx((found.tail, found.hill), rel=1e-3)


def test_a_batch_of_one_sample_many_times_over_has_no_noise() -> None:
    subject = regression(10, 1.0, samples=64)
    again = torch.zeros(64, dtype=torch.long)
    found = noise(subject.replace(batch=subject.part(again).batch))
    assert found.scale == pytest.approx(0, abs=1e-4)
    assert found.largest_by_median == pytest.approx(1)


def test_pure_chance_has_a_large_noise_scale() -> None:
    """Targets that follow nothing, seen from where nothing is to be gained."""
    subject = regression(40, 100.0, samples=64)
    assert noise(subject).scale > 640


def test_one_part_of_huge_gradients_shows_in_the_tail() -> None:
    subject = regression(10, 1.0, samples=512)
    target = subject.target.clone()
    target[0] += 1e5
    calm, wild = noise(subject), noise(subject.replace(batch=replace(subject.batch, target=target)))
    assert calm.largest_by_median < 4
    assert wild.largest_by_median > 100
    assert wild.tail > 5 > calm.tail


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (regression(4, 1.0, samples=6), "8 parts of 1 samples are needed"),
        (described([{"kind": "batch_norm"}, dense(4)], size=32), "8 parts of 8 samples are needed"),
    ],
    ids=["few", "batch norm"],
)
def test_a_small_batch_is_not_judged(subject: Subject, reason: str) -> None:
    assert str(measure_noise(subject)).startswith(reason)


def test_a_drawn_batch_is_not_judged() -> None:
    subject = described([dense(4)])
    drawn = subject.replace(batch=replace(subject.batch, synthetic=True))
    assert measure_noise(drawn) == "the batch was drawn, so its targets follow nothing"
