"""Rules on what takes many passes and on precision, on evidence made up for them."""

import math
from dataclasses import replace

import pytest

from service.contract.words import Severity
from tests.probe.subjects import chain, dense, described
from tests.rules.asking import judge, severity, status
from worker.probe.evidence import (
    Deep,
    Evidence,
    Noise,
    Overflow,
    PrecisionEvidence,
    Rounding,
    Sharpness,
    Training,
    WidthTrend,
)
from worker.probe.measure import probe
from worker.rules import Observation

WARNING, INFO = Severity.WARNING, Severity.INFO
HEALTHY: Evidence = probe(described(chain(3, dense(32), {"kind": "relu"})))
KERNEL = Rounding("w", "n", 100, 1e-4, flushed=0.0, lost=1e-4, moving=100, stalled=0.0, made=1.0, matrix=True)
HALF = PrecisionEvidence("float16", 65504.0, 2**-25, (), (KERNEL,))
TRAINED = Training((), 200, complete=True, converged=True, judged=True)


def rounded(**changes: object) -> Evidence:
    weights = (KERNEL, replace(KERNEL, **changes))  # type: ignore[arg-type]
    return replace(HEALTHY, precision=replace(HALF, weights=weights))


def test_precision_is_no_matter_in_float32() -> None:
    assert status("NUM02", HEALTHY) == "not_applicable"
    assert status("NUM02", replace(HEALTHY, precision=HALF)) == "clear"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lost": 0.45, "flushed": 0.9}, None),
        ({"lost": 0.55, "flushed": 0.9}, WARNING),
        ({"lost": 1.0, "flushed": 1.0, "matrix": False}, None),
        ({"stalled": 1.0}, None),
        ({"made": 0.1}, None),
        ({"made": 0.0, "moving": 200}, INFO),
        ({"made": 0.0, "moving": 2000}, WARNING),
    ],
)
def test_a_format_is_warned_of_where_a_kernels_gradient_or_most_steps_are_lost(
    changes: dict[str, object], expected: Severity | None
) -> None:
    assert severity("NUM02", rounded(**changes)) is expected


def test_small_gradients_of_a_trained_model_are_told_without_a_warning() -> None:
    sick = rounded(lost=0.9, flushed=0.9)
    assert severity("NUM02", replace(sick, training=TRAINED)) is INFO


def test_an_overflow_warns_and_names_the_first_value_and_the_worst() -> None:
    overflows = tuple(Overflow(f"n{index}", "Gemm", 0.1, size) for index, size in enumerate((7e4, 9e9, 8e4)))
    answer = judge("NUM02", replace(HEALTHY, precision=replace(HALF, overflows=overflows)))
    assert isinstance(answer, Observation)
    assert answer.severity is WARNING
    assert [place.node for place in answer.places] == ["n0", "n1"]
    assert answer.explanation.startswith("3 values overflow float16, whose largest number is 65504")


SHARP = Sharpness(10.0, 10.0, 0.2, "sgd", 0.1, declared=True, products=8, differences=False)


@pytest.mark.parametrize(
    ("rate", "critical", "expected"),
    [(0.39, 0.2, None), (0.41, 0.2, INFO), (1e5, math.inf, None)],
)
def test_a_rate_is_told_from_twice_the_critical_one_and_never_warned_of(
    rate: float, critical: float, expected: Severity | None
) -> None:
    sharp = replace(SHARP, learning_rate=rate, critical_rate=critical)
    assert severity("TRN08", replace(HEALTHY, sharpness=sharp)) is expected


def test_a_rate_that_nobody_declared_is_no_matter() -> None:
    assert status("TRN08", HEALTHY) == "not_applicable"
    usual = replace(SHARP, learning_rate=9.0, declared=False)
    assert status("TRN08", replace(HEALTHY, sharpness=usual)) == "not_applicable"
    assert status("TRN08", replace(HEALTHY, unmeasured={"sharpness": "of a reason"})) == "could_not_judge"


NOISE = Noise(
    scale=100.0,
    lowest=50.0,
    standard_error=20.0,
    samples=64,
    parts=32,
    tail=2.0,
    largest_by_median=2.0,
    hill=3.0,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"scale": 1e4, "lowest": 630.0}, None),
        ({"scale": 1e4, "lowest": 650.0}, INFO),
        ({"scale": math.inf, "lowest": 650.0, "standard_error": math.inf}, INFO),
        ({"tail": 6.0}, None),
        ({"largest_by_median": 20.0}, None),
        ({"tail": 6.0, "largest_by_median": 20.0}, INFO),
    ],
)
def test_noise_is_told_where_the_batch_is_a_tenth_of_its_lower_bound_or_one_part_is_wild(
    changes: dict[str, float], expected: Severity | None
) -> None:
    found = replace(NOISE, **changes)  # type: ignore[arg-type]
    assert severity("NOI01", replace(HEALTHY, deep=Deep(noise=found))) is expected


def test_noise_is_not_judged_where_it_was_not_measured() -> None:
    assert status("NOI01", HEALTHY) == "not_applicable"
    unmeasured = replace(HEALTHY, deep=Deep(), unmeasured={"noise": "the batch cannot be parted"})
    assert status("NOI01", unmeasured) == "could_not_judge"


@pytest.mark.parametrize(("slope", "expected"), [(0.14, None), (0.16, INFO), (-0.16, INFO), (1.0, INFO)])
def test_a_width_trend_is_told_beyond_its_limit_either_way(slope: float, expected: Severity | None) -> None:
    trends = (WidthTrend("a", 0.0), WidthTrend("b", slope))
    assert severity("WID01", replace(HEALTHY, deep=Deep(widths=trends))) is expected


def test_a_width_that_cannot_change_is_no_matter() -> None:
    assert status("WID01", HEALTHY) == "not_applicable"
    assert status("WID01", replace(HEALTHY, deep=Deep())) == "not_applicable"
