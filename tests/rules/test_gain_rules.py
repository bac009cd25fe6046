"""The rules of gradient gain on evidence made up for them: limits, causes in words, and what is left alone."""

import math
from dataclasses import replace

import pytest

from service.contract.words import Severity
from tests.rules.test_judgement import (
    ERROR,
    FAILED,
    HEALTHY,
    INFO,
    PASSED,
    WARNING,
    gained,
    judge,
    run,
    severity,
    training,
)
from worker.probe.evidence import Bypass, Evidence, Join, Segment, Shattering
from worker.rules import Observation


def made(**given: object) -> Evidence:
    """Return evidence of a gain with these figures, with ten segments alike."""
    evidence = gained(-20.0, -20.0, -20.0)
    assert evidence.gain is not None
    return replace(evidence, gain=replace(evidence.gain, **given))  # type: ignore[arg-type]


def segments(count: int = 10, **given: object) -> tuple[Segment, ...]:
    base = Segment("start", "end", -2.0, 1)
    return tuple(replace(base, **given) for _ in range(count))  # type: ignore[arg-type]


def said(code: str, evidence: Evidence) -> str:
    answer = judge(code, evidence)
    assert isinstance(answer, Observation)
    return answer.explanation


@pytest.mark.parametrize(("code", "sign"), [("GRD01", -1), ("GRD02", 1)])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (6.5, [INFO, INFO, INFO, ERROR]),  # within two standard deviations of the limit
        (7.5, [WARNING, INFO, WARNING, ERROR]),
        (11.9, [WARNING, INFO, WARNING, ERROR]),
        (12.1, [WARNING, WARNING, WARNING, ERROR]),
    ],
)
def test_a_gain_at_risk_is_a_note_where_training_learns_in_every_way(
    code: str, sign: int, size: float, expected: list[Severity]
) -> None:
    """Without a trial, with one that learns in every way, one that learns in one of two, and one that fails."""
    evidence = gained(sign * size, sign * size, sign * size)
    either = training(run(optimizer="adam", beaten=True), run())
    trials = (None, PASSED, either, FAILED)
    assert [severity(code, replace(evidence, training=trial)) for trial in trials] == expected


@pytest.mark.parametrize(
    ("total", "power", "normalized", "expected"),
    [
        (5.9, 2.5, True, None),
        (11.0, 2.5, True, INFO),
        (5.9, None, True, INFO),
        (10.0, None, True, INFO),
        (14.0, None, True, WARNING),
    ],
)
def test_behind_norms_a_power_of_depth_is_harmless_and_the_limit_lies_twice_as_far(
    total: float, power: float | None, expected: Severity | None, *, normalized: bool
) -> None:
    evidence = gained(total, total, total)
    assert evidence.gain is not None
    grown = replace(evidence, gain=replace(evidence.gain, power=power, normalized=normalized))
    assert severity("GRD02", grown) is expected


def test_vanishing_by_scale_slopes_or_biases_is_said_to_be_so() -> None:
    """Schoenholz et al. 2017: the signal shrinks as well; slopes lose more than a rectifier; samples become alike."""
    slopes = segments(slopes=math.log(1 / 16), activation="Sigmoid")
    assert "the weights are too small" in said("GRD01", made(forward=-19.0))
    assert "the slopes of Sigmoid keep 25% of it per layer" in said("GRD01", made(segments=slopes, collapse=-19.0))
    floor = said("GRD01", made(segments=segments(slopes=math.log(1 / 2), activation="Relu"), collapse=-15.0))
    assert "what is the same for all samples, such as biases, takes the signal's place" in floor
    assert "because" not in said("GRD01", made())


def test_exploding_by_residuals_scale_batch_norm_or_chaos_is_said_to_be_so() -> None:
    figures = {"total": 20.0, "typical": 20.0, "late": 20.0}
    joins = tuple(Join(f"add{index}", 1.0, math.log(2), normalized=False) for index in range(20))
    assert "20 residual branches" in said("GRD02", replace(made(**figures, forward=14.0), joins=joins))
    tamed = tuple(replace(join, normalized=True) for join in joins)
    assert "the weights are too large" in said("GRD02", replace(made(**figures, forward=14.0), joins=tamed))
    normed = segments(operators=("Gemm", "BatchNormalization", "Relu"))
    assert "batch normalization without skips" in said("GRD02", made(**figures, segments=normed, normalized=True))
    assert "small differences grow" in said("GRD02", made(**figures))


def test_from_one_hidden_layer_to_the_next_there_is_no_trend() -> None:
    one = made(segments=segments(1))
    assert severity("GRD01", one) is None
    assert severity("GRD01", replace(one, training=FAILED)) is ERROR


@pytest.mark.parametrize(("kept", "expected"), [(0.4, "keeps 40% of it"), (1 / 500, "keeps 1/500 of it")])
def test_a_share_is_said_however_small_it_is(kept: float, expected: str) -> None:
    gain = 2 * math.log(kept)
    evidence = made(segments=segments(gain=gain), total=10 * gain, typical=10 * gain, late=10 * gain)
    assert expected in said("GRD01", evidence)


def test_what_skips_lead_past_is_noted_beyond_e_to_the_minus_twelve() -> None:
    calm = {"total": 0.0, "typical": 0.0, "late": 0.0}
    assert severity("GRD01", made(**calm, bypass=Bypass("bottom", -11.9))) is None
    assert severity("GRD01", made(**calm, bypass=Bypass("bottom", -12.1))) is INFO
    assert "bottom gets 10^2.6 times less than an even share" in said(
        "GRD01", made(**calm, bypass=Bypass("bottom", -12.1))
    )


@pytest.mark.parametrize(("ratio", "expected"), [(0.8, None), (0.9, WARNING)])
def test_free_branches_count_by_what_theory_and_measurement_agree_on(ratio: float, expected: Severity | None) -> None:
    """Ten blocks grow by ln(1 + ρ) each: ρ = e^0.6 - 1 = .822 is the limit."""
    joins = tuple(Join(f"add{index}", ratio, 5.0, normalized=False) for index in range(10))
    assert severity("RES01", replace(HEALTHY, joins=joins)) is expected
    assert severity("RES01", replace(HEALTHY, joins=tuple(replace(join, growth=0.5) for join in joins))) is None
    assert severity("RES01", replace(HEALTHY, joins=tuple(replace(join, normalized=True) for join in joins))) is None


def test_branches_that_start_at_zero_are_healthy_and_said_to_be_by_design() -> None:
    joins = tuple(Join(f"add{index}", 0.0, 0.0, normalized=False) for index in range(54))
    answer = judge("RES01", replace(HEALTHY, joins=joins))
    assert not isinstance(answer, Observation)
    assert answer.reason == "54 of 54 branches start at zero, by design"


@pytest.mark.parametrize(("layers", "drift", "expected"), [(7, 6.1, INFO), (7, 5.9, None), (6, 6.1, None)])
def test_a_missing_norm_is_noted_in_deep_networks_that_drift(
    layers: int, drift: float, expected: Severity | None
) -> None:
    calm = {"total": drift, "typical": 0.0, "late": 0.0}
    evidence = made(segments=segments(layers, gain=drift / layers), **calm)
    assert severity("NRM02", evidence) is expected
    normed = segments(layers, gain=drift / layers, operators=("LayerNormalization",))
    assert severity("NRM02", made(segments=normed, **calm)) is None


@pytest.mark.parametrize(("crowding", "expected"), [(3.9, None), (4.1, INFO)])
def test_depth_by_width_beyond_four_is_noted(crowding: float, expected: Severity | None) -> None:
    assert severity("DEP01", made(sampling=math.sqrt(crowding))) is expected


@pytest.mark.parametrize(
    ("left", "nonlinearity", "expected"), [(0.09, 11.0, INFO), (0.11, 11.0, None), (0.09, 9.0, None)]
)
def test_gradients_are_shattered_where_they_differ_and_the_network_is_far_from_linear(
    left: float, nonlinearity: float, expected: Severity | None
) -> None:
    evidence = made(nonlinearity=2 * math.log(nonlinearity))
    assert severity("SHT01", replace(evidence, shattering=Shattering(0.9, left))) is expected
    assert severity("SHT01", evidence) is None


def test_one_layer_far_from_the_others_scale_is_noted_unless_a_norm_sets_it() -> None:
    calm = segments(9, forward=0.1, slopes=0.0)
    odd = replace(calm[0], forward=5.0, end="odd")
    assert "At odd the signal grows" in said("INI03", made(segments=(*calm, odd)))
    normed = replace(odd, operators=("LayerNormalization",))
    assert severity("INI03", made(segments=(*calm, normed))) is None
    assert severity("INI03", made(segments=(*calm, replace(odd, forward=4.5)))) is None


@pytest.mark.parametrize(("collapse", "expected"), [(-6.1, INFO), (-12.1, WARNING)])
def test_samples_that_become_alike_are_a_note_where_training_learns_and_it_is_not_severe(
    collapse: float, expected: Severity
) -> None:
    evidence = made(total=0.0, typical=0.0, late=0.0, collapse=collapse)
    assert severity("RNK01", replace(evidence, training=PASSED)) is expected
    assert severity("RNK01", evidence) is WARNING


def test_a_head_that_is_drawn_small_is_left_alone_unless_it_makes_up_for_the_layer_before() -> None:
    hidden = replace(HEALTHY.parameters[0], units=8, count=64, rms=8**-0.5, gradient_rms=1e-5, state="live")
    head = replace(hidden, name="head", rms=0.01 * 8**-0.5, gradient_rms=1e-3)
    assert severity("INI02", replace(HEALTHY, parameters=(hidden, hidden, head))) is None
    large = replace(hidden, rms=100 * 8**-0.5, gradient_rms=1e-5)
    assert severity("INI02", replace(HEALTHY, parameters=(hidden, large, head))) is WARNING
