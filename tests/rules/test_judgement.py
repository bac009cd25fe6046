"""Rules on evidence made up for them: where each begins to speak, how grave it is, and when it holds its tongue."""

import math
import re
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from service.contract.redraws import Seeds
from service.contract.words import LossName, Severity, Verdict
from tests.probe.subjects import chain, dense, described
from tests.rules.asking import judge, severity, status, training
from worker.budget import Deadline
from worker.course import Run
from worker.diagnose import diagnose, verdict
from worker.probe.evidence import Evidence, Gain, InputEvidence, RecurrentGain, Segment, Training, Units
from worker.probe.measure import probe
from worker.probe.training import Ask
from worker.rules import HEADINGS, Observation, Silence, rules
from worker.summary import summary
from worker.trial import measured

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
HEALTHY: Evidence = probe(described(chain(3, dense(32), {"kind": "relu"})))


def run(**given: Any) -> Run:  # noqa: ANN401
    base = Run(
        optimizer="sgd",
        learning_rate=0.1,
        declared=False,
        losses=(1.0,) * 10,
        final=1.0,
        lowest=1.0,
        gradient_norms=(1.0,) * 10,
        beaten=False,
        diverged=False,
        spike=1.0,
    )
    return replace(base, **given)


FAILED, PASSED = training(run()), training(run(beaten=True))


def gained(total: float, typical: float, late: float) -> Evidence:
    segments = tuple(Segment(f"n{index}", f"n{index + 1}", total / 10, 1) for index in range(10))
    gain = Gain(segments, total, typical, late, 0.1, 0.5, 0.0, 0.0, 0.0)
    return replace(HEALTHY, gain=gain)


@pytest.mark.parametrize("code", list(rules))
def test_a_rule_is_silent_on_a_healthy_network_and_has_its_page(code: str) -> None:
    assert isinstance(judge(code, HEALTHY), Silence)
    rule = rules[code]
    assert tuple(rule.sections) == HEADINGS
    assert all(rule.sections.values())
    assert rule.title.endswith(".")


@pytest.mark.parametrize(("code", "sign"), [("GRD01", -1), ("GRD02", 1)])
@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((2.9, 2.9, 2.9), None),
        ((3.1, 3.1, 3.1), INFO),
        ((7.1, 7.1, 7.1), WARNING),
        ((20.0, 2.9, 2.5), None),  # a power law: the later half is harmless
        ((20.0, 7.1, 2.5), WARNING),
        ((20.0, -7.0, -8.0), None),  # one odd layer makes no trend
        ((-20.0, -20.0, -20.0), None),
    ],
)
def test_a_gain_counts_where_total_and_trend_agree(
    code: str, sign: int, gains: tuple[float, float, float], expected: Severity | None
) -> None:
    total, typical, late = gains
    evidence = gained(sign * total, sign * typical, sign * late)
    assert severity(code, evidence) is expected
    assert severity(code, replace(evidence, training=FAILED)) is (ERROR if expected is WARNING else expected)


def test_only_segments_beyond_their_share_of_the_limit_are_places() -> None:
    evidence = gained(-20.0, -20.0, -20.0)
    assert evidence.gain is not None
    gains = (-9.0, -0.5, -0.7, 0.3)
    segments = tuple(replace(evidence.gain.segments[0], start=f"n{at}", gain=each) for at, each in enumerate(gains))
    answer = judge("GRD01", replace(evidence, gain=replace(evidence.gain, segments=segments)))
    assert isinstance(answer, Observation)
    assert [(place.node, place.limit) for place in answer.places] == [("n0", -1.5)]


def test_a_gain_at_its_limit_is_as_sure_as_a_coin() -> None:
    at, beyond = judge("GRD02", gained(6.0, 6.0, 6.0)), judge("GRD02", gained(9.0, 9.0, 9.0))
    assert isinstance(at, Observation)
    assert isinstance(beyond, Observation)
    assert at.confidence == pytest.approx(0.5)
    sigma = math.hypot(0.1, 0.5)
    assert beyond.confidence == pytest.approx(0.5 * (1 + math.erf(3 / sigma / math.sqrt(2))), abs=1e-3)


@pytest.mark.parametrize("code", ["GRD01", "GRD02", "RNK01"])
def test_without_two_layers_in_a_row_there_is_no_gain_to_judge(code: str) -> None:
    assert status(code, replace(HEALTHY, gain=None)) == "not_applicable"


@pytest.mark.parametrize("code", ["GRD01", "GRD02"])
@pytest.mark.parametrize("total", [-math.inf, math.inf, math.nan])
def test_a_gain_that_is_not_finite_is_left_to_other_rules(code: str, total: float) -> None:
    assert status(code, gained(total, total, total)) == "could_not_judge"


def with_units(samples: int, dead: float, excess: float) -> Evidence:
    units = Units(64, dead, dead - excess, excess, samples, hopeless=dead, hopeless_excess=excess)
    places = tuple(replace(place, units=units if place.units else None) for place in HEALTHY.places)
    return replace(HEALTHY, places=places, samples=samples)


def with_states(*states: str) -> Evidence:
    parameters = [replace(HEALTHY.parameters[0], name=f"w{index}", state=each) for index, each in enumerate(states)]
    return replace(HEALTHY, parameters=tuple(parameters))


def test_half_of_the_weights_without_gradient_is_a_certainty() -> None:
    assert severity("GRD03", with_states("live", "live", "dead")) is WARNING
    assert severity("GRD03", with_states("live", "dead")) is ERROR
    assert severity("GRD03", with_states("live", "dead", "unused", "unused")) is ERROR
    for state in ("gated", "faint", "unused"):
        assert severity("GRD03", with_states("live", state)) is None
    assert severity("GRD03", with_states("unused", "unused")) is ERROR, "nothing reaches the loss"
    assert status("GRD03", with_states()) == "not_applicable"


def with_loss(**given: Any) -> Evidence:  # noqa: ANN401
    return replace(HEALTHY, loss=replace(HEALTHY.loss, head_width=3, output_rank=2, **given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": LossName.CROSS_ENTROPY, "head": "Softmax", "declared": True}, WARNING),
        ({"name": LossName.CROSS_ENTROPY, "head": "Softmax", "declared": False}, None),
        ({"name": LossName.CROSS_ENTROPY, "head": "LogSoftmax", "declared": True}, None),
        ({"name": LossName.CROSS_ENTROPY, "head": "Relu", "declared": True}, WARNING),
        ({"name": LossName.BCE_WITH_LOGITS, "head": "Sigmoid", "declared": True}, WARNING),
        ({"name": LossName.NLL, "head": "LogSoftmax", "declared": True, "output_high": 0.0}, None),
        ({"name": LossName.NLL, "head": "", "declared": True, "output_high": 0.5}, ERROR),
        ({"name": LossName.BCE, "head": "Tanh", "declared": True}, WARNING),
        ({"name": LossName.BCE, "head": "", "declared": True, "output_low": -0.1, "output_high": 1.0}, ERROR),
        ({"name": LossName.MSE, "head": "Tanh", "unreachable": 0.04}, None),
        ({"name": LossName.MSE, "head": "Tanh", "unreachable": 0.06}, WARNING),
        ({"name": LossName.MSE, "head": "Tanh", "unreachable": 0.96}, ERROR),
        ({"name": LossName.CROSS_ENTROPY, "head": "Softmax", "head_axis": 0}, ERROR),
    ],
)
def test_a_head_and_its_loss_are_a_pair(given: dict[str, Any], expected: Severity | None) -> None:
    assert severity("LOS01", with_loss(**given)) is expected


def test_a_softmax_over_one_unit_is_a_certainty() -> None:
    evidence = replace(HEALTHY, loss=replace(HEALTHY.loss, head="Softmax", head_width=1))
    assert severity("LOS01", evidence) is ERROR


def test_training_that_beats_no_constant_rejects_if_it_had_its_steps() -> None:
    assert severity("TRN02", replace(HEALTHY, training=FAILED)) is ERROR
    assert severity("TRN02", replace(HEALTHY, training=training(run(), complete=False))) is WARNING
    assert severity("TRN02", replace(HEALTHY, training=training(run(), steps=199))) is WARNING
    assert severity("TRN02", replace(HEALTHY, training=training(run(), run(beaten=True)))) is None
    assert status("TRN02", replace(HEALTHY, training=training(converged=True))) == "not_applicable"
    assert status("TRN02", replace(HEALTHY, training=training(judged=False))) == "could_not_judge"


def test_a_declared_rate_that_diverges_rejects_only_if_another_learns() -> None:
    wild, fair = run(declared=True, diverged=True, learning_rate=50.0), run(beaten=True)
    tamed = training(wild, fair, stable_learning_rate=0.1)
    assert severity("TRN01", replace(HEALTHY, training=tamed)) is ERROR
    assert status("TRN01", replace(HEALTHY, training=training(wild))) == "could_not_judge"
    assert status("TRN01", replace(HEALTHY, training=PASSED)) == "not_applicable"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ((ERROR, WARNING, WARNING), WARNING),
        ((ERROR, ERROR, WARNING), ERROR),
        ((ERROR, WARNING, None), WARNING),
        ((ERROR, ERROR, None), ERROR),
        ((ERROR, WARNING), WARNING),
        ((ERROR, None, None), WARNING),
        ((ERROR, None), WARNING),
        ((WARNING, None, None), INFO),
        ((WARNING, None), INFO),
    ],
)
def test_a_finding_is_as_grave_as_most_draws_show_it_or_a_step_less_than_the_gravest_in_any_order(
    shown: tuple[Severity | None, ...], expected: Severity | None
) -> None:
    states = {ERROR: ("live", "dead"), WARNING: ("live", "live", "dead"), None: ("live",)}
    for order in permutations(shown):
        findings, _ = diagnose([with_states(*states[each]) for each in order])
        found = next((each for each in findings if each.code == "GRD03"), None)
        assert (found and found.severity) is expected
        showing = sum(each is not None for each in shown)
        assert found is None or found.seeds == Seeds(of=len(shown), showing=showing)


LOST, DEAD = with_states("live", "dead"), with_units(64, 1.0, 0.9)
"""Draws that fail by GRD03 and by UNT01."""


def test_most_draws_failing_by_different_rules_reject_and_each_rule_says_so() -> None:
    for draws in permutations((LOST, DEAD, HEALTHY)):
        findings, _ = diagnose(draws)
        assert verdict(findings) is Verdict.FAIL
        assert {each.code: each.severity for each in findings} == {"GRD03": ERROR, "UNT01": ERROR}
        lost = next(each for each in findings if each.code == "GRD03")
        assert lost.seeds == Seeds(of=3, showing=1)
        assert "1 of 3 draws fails by this; with UNT01 it is 2 of 3, which decides." in lost.explanation


def test_one_draw_that_fails_is_told_and_rejects_nothing() -> None:
    findings, _ = diagnose([HEALTHY, LOST, HEALTHY])
    assert verdict(findings) is Verdict.WARN
    assert [(each.code, each.severity) for each in findings] == [("GRD03", WARNING)]
    assert "Only 1 of 3 draws fails by this, so it counts as a warning." in findings[0].explanation


def test_draws_that_cannot_be_judged_are_told_beside_the_one_that_shows_something() -> None:
    lost = gained(-math.inf, -math.inf, -math.inf)
    findings, _ = diagnose([lost, gained(-20.0, -20.0, -20.0), lost])
    assert [(each.code, each.severity) for each in findings] == [("GRD01", INFO)]
    said = "Only 1 of 3 draws warns by this, and 2 cannot be judged, so it counts as a note."
    assert said in findings[0].explanation


@pytest.mark.parametrize(
    ("draws", "said"),
    [
        ((HEALTHY, LOST, HEALTHY), "is at risk: in 1 of 3 draws no gradient reaches some of the weights."),
        ((LOST, DEAD, HEALTHY), "most of its draws fail, though not by one rule: in 1 of 3 draws no gradient reaches"),
        ((LOST, LOST, HEALTHY), "should not be trained as it stands: no gradient reaches some of the weights."),
    ],
)
def test_a_summary_says_what_few_draws_show(draws: tuple[Evidence, ...], said: str) -> None:
    findings, _ = diagnose(draws)
    assert said in summary(verdict(findings), findings, None, draws)


def test_of_two_draws_both_must_fail() -> None:
    assert verdict(diagnose([LOST, HEALTHY])[0]) is Verdict.WARN
    assert verdict(diagnose([LOST, DEAD])[0]) is Verdict.FAIL


def test_a_finding_that_all_draws_agree_about_reads_as_that_of_one() -> None:
    (one,), (three,) = (diagnose([LOST] * draws)[0] for draws in (1, 3))
    assert one.seeds is None
    assert three.explanation == one.explanation
    assert three.confidence == one.confidence


def test_the_gain_of_several_draws_comes_with_its_standard_error_over_them() -> None:
    """Of 10, 12 and 14 the mean's standard error is 2/√3."""
    findings, _ = diagnose([gained(total, total, total) for total in (10.0, 12.0, 14.0)])
    assert findings[0].evidence["standard_error_over_seeds"] == pytest.approx(2 / math.sqrt(3))


def test_a_draw_that_cannot_be_judged_is_never_clear() -> None:
    small, clear, ill = with_units(31, 0.0, 0.0), with_units(64, 0.0, 0.0), with_units(64, 0.5, 0.3)
    assert covered(clear, clear, small) == "clear"
    assert covered(clear, small, small) == "could_not_judge"
    assert covered(clear, small) == "clear"
    assert covered(small, clear, ill) == "fired"


def covered(*draws: Evidence) -> str:
    """Return what became of UNT01."""
    return next(each.status for each in diagnose(draws)[1] if each.code == "UNT01")


def test_training_that_can_change_nothing_is_told_as_that() -> None:
    answer = judge("TRN02", replace(HEALTHY, training=training(run(gradient_norms=()))))
    assert isinstance(answer, Observation)
    assert "does not depend on any weight" in answer.explanation


def test_a_trial_of_four_steps_ends_in_a_finite_sentence() -> None:
    evidence = measured(described(chain(3, dense(32), {"kind": "relu"})), Ask(4), Deadline.after(1e9))
    assert evidence.training is not None
    slow = [replace(each, beaten=False) for each in evidence.training.runs]
    answer = judge("TRN02", replace(evidence, training=replace(evidence.training, runs=tuple(slow))))
    assert isinstance(answer, Observation)
    assert re.search(r"after 4 steps it had come to \d", answer.explanation)
    assert all(map(math.isfinite, answer.evidence.values()))


@pytest.mark.parametrize(
    ("rms", "expected"), [(0.03, WARNING), (0.04, None), (1.0, None), (30.0, None), (33.0, WARNING)]
)
def test_inputs_beyond_a_decade_and_a_half_from_one_are_out_of_scale(rms: float, expected: Severity | None) -> None:
    given = InputEvidence("x", rms, 0.0, rms, 0.0, 0.0)
    assert severity("INP01", replace(HEALTHY, inputs=(given,))) is expected


@pytest.mark.parametrize(
    ("rate", "best", "expected"),
    [(0.1, 0.05, None), (0.1, 1.0, INFO), (0.1, 6.5, WARNING), (0.1, None, None)],
)
def test_a_declared_rate_that_is_too_small_is_told_by_how_much(
    rate: float, best: float | None, expected: Severity | None
) -> None:
    slow, fair = run(declared=True, learning_rate=rate), run(beaten=True, learning_rate=best or 1.0)
    trial = training(slow, fair, stable_learning_rate=best)
    assert severity("TRN03", replace(HEALTHY, training=trial)) is expected
    learnt = training(run(declared=True, beaten=True, learning_rate=rate), stable_learning_rate=best)
    assert severity("TRN03", replace(HEALTHY, training=learnt)) is None


@pytest.mark.parametrize(
    ("total", "trial", "expected"),
    [(5.9, PASSED, None), (6.1, PASSED, WARNING), (6.1, FAILED, ERROR), (-30.0, PASSED, None), (-12.1, FAILED, ERROR)],
)
def test_a_short_memory_counts_only_where_training_fails(
    total: float, trial: Training, expected: Severity | None
) -> None:
    evidence = replace(HEALTHY, recurrent=(RecurrentGain("r", "RNN", 20, total),), training=trial)
    assert severity("REC01", evidence) is expected


def test_samples_that_become_alike_count_unless_the_gradient_says_so_already() -> None:
    evidence = gained(0.0, 0.0, 0.0)
    assert evidence.gain is not None
    alike = replace(evidence, gain=replace(evidence.gain, collapse=-6.1))
    assert severity("RNK01", alike) is WARNING
    assert severity("RNK01", replace(evidence, gain=replace(evidence.gain, token_collapse=-6.1))) is WARNING
    assert severity("RNK01", replace(evidence, gain=replace(evidence.gain, collapse=-5.9))) is None
    fading = gained(-20.0, -20.0, -20.0)
    assert fading.gain is not None
    findings, coverage = diagnose([replace(fading, gain=replace(fading.gain, collapse=-20.0))])
    assert [finding.code for finding in findings] == ["GRD01"]
    assert next(each.reason for each in coverage if each.code == "RNK01") == "GRD01 is the cause and says it"


@pytest.mark.parametrize(("factor", "expected"), [(900.0, None), (1100.0, WARNING)])
def test_neighbours_a_thousandfold_apart_by_their_own_scale_are_out_of_scale(
    factor: float, expected: Severity | None
) -> None:
    """A kernel s times as small, beside one that makes up for it, learns s² times faster relative to itself."""
    first = replace(HEALTHY.parameters[0], units=8, rms=1.0, gradient_rms=1.0, state="live")
    second = replace(first, name="other", rms=factor**-0.5, gradient_rms=factor**0.5)
    assert severity("INI02", replace(HEALTHY, parameters=(first, second, first))) is expected
    assert severity("INI02", replace(HEALTHY, parameters=(first, second, replace(first, state="gated")))) is None
    faint = replace(first, name="query", gradient_rms=1 / factor)
    assert severity("INI02", replace(HEALTHY, parameters=(first, faint))) is None, "its scale is the same"


def test_a_trial_of_fewer_steps_than_a_mean_is_taken_over_cannot_be_judged() -> None:
    cut = run(losses=(1.2, 1.1), gradient_norms=(1.0, 1.0), lowest=math.inf, final=1.1)
    found = judge("TRN02", replace(HEALTHY, training=training(cut, complete=False)))
    assert isinstance(found, Silence)
    assert (found.status, found.reason) == ("could_not_judge", "the trial ran out of time after 2 steps")
