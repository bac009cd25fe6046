"""The measured gains against theory: every truth of the benchmark, on narrower networks and fewer draws."""

import math

import pytest

from benchmarks.theory import TRUTHS, measure
from benchmarks.truths.mean_field import batch_normed, chi, fixed_point, kurtosis
from benchmarks.truths.truth import Truth


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_the_gain_is_theorys(truth: Truth) -> None:
    """Within five standard deviations of what redraws explain: a false alarm in two million runs."""
    assert measure(truth, width=256, depth=20, seeds=2).z < 5


def test_theory_is_asked_about_forty_kinds_of_networks_or_more() -> None:
    assert len({truth.name for truth in TRUTHS}) == len(TRUTHS) >= 40


@pytest.mark.parametrize(
    ("name", "weights", "biases", "expected"),
    [
        ("sigmoid", 1.0, 0.0, 0.055721),
        ("selu", 1.0, 0.0, 1.071575),
        ("tanh", 1.760955, 0.05, 1.0),
        ("tanh", 4, 0.05, 1.342402),
    ],
)
def test_the_theory_gives_the_published_slopes(name: str, weights: float, biases: float, expected: float) -> None:
    assert chi(name, weights, fixed_point(name, weights, biases)) == pytest.approx(expected, abs=2e-6)


def test_the_theory_gives_the_closed_forms_of_a_rectifier() -> None:
    assert batch_normed("relu") == pytest.approx(math.pi / (math.pi - 1), rel=1e-9)
    assert (chi("relu", 2, 3.0), kurtosis("relu", 3.0)) == pytest.approx((1.0, 5.0), rel=1e-9)
    assert chi("gelu", 1.98305826, 3.561553) == pytest.approx(1.0, abs=1e-6)
