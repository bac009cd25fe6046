"""What a trial makes of its treatments, on findings and gains that are made up."""

import math
from collections.abc import Sequence

import pytest

from service.contract.report import Finding
from service.contract.words import RemedyStatus, Severity, Symptom
from tests.probe.subjects import dense, described
from worker.probe.measure import probe
from worker.treatments import treatments
from worker.trial import Examined, Tried
from worker.trial.controls import Control
from worker.trial.duel import Duel
from worker.trial.judging import judged
from worker.trial.telling import paired, summarised


def finding(code: str, severity: Severity) -> Finding:
    return Finding(
        code=code,
        symptom=Symptom.VANISHING_GRADIENT,
        severity=severity,
        title="",
        explanation="",
        confidence=1,
        docs="",
    )


def state(**codes: Severity) -> Examined:
    """Return what findings of these severities look like."""
    subject = described([dense(4)])
    found = tuple(finding(code, severity) for code, severity in codes.items())
    return Examined((subject,), (probe(subject),), found)


def tried(before: Examined, after: Examined, gains: Sequence[float], *names: str) -> Tried:
    return Tried(tuple(treatments[name] for name in names), (), {}, before, after, Duel(tuple(gains)))


ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@pytest.mark.parametrize(
    ("before", "after", "gains", "expected"),
    [
        (state(A=WARNING), state(), [0.5, 0.6, 0.4], RemedyStatus.WORKS),
        (state(A=WARNING), state(), [], RemedyStatus.WORKS),
        (state(A=WARNING), state(A=INFO), [0.0, 0.01, -0.01], RemedyStatus.WORKS),
        (state(A=WARNING), state(A=WARNING), [2.0, 2.1, 1.9], RemedyStatus.INEFFECTIVE),
        (state(A=WARNING), state(B=WARNING), [2.0, 2.1, 1.9], RemedyStatus.INEFFECTIVE),
        (state(A=WARNING), state(B=ERROR), [2.0, 2.1, 1.9], RemedyStatus.HARMFUL),
        (state(A=WARNING), state(A=ERROR), [], RemedyStatus.HARMFUL),
        (state(A=WARNING), state(), [-0.5, -0.6, -0.4], RemedyStatus.INEFFECTIVE),
        (state(A=ERROR), state(), [-0.5, -0.6, -0.4], RemedyStatus.INEFFECTIVE),
        (state(A=ERROR), state(), [-1.0, 0.9, -0.8], RemedyStatus.WORKS),
        (state(A=WARNING), state(), [-1.0, 0.9, -0.8], RemedyStatus.INEFFECTIVE),
    ],
)
def test_a_treatment_is_judged_by_its_findings_and_its_paired_gains(
    before: Examined, after: Examined, gains: list[float], expected: RemedyStatus
) -> None:
    assert judged(tried(before, after, gains)) is expected


def test_bounds_and_p_value_are_those_of_students_test() -> None:
    """By hand: mean 0.5, standard error 0.1 / √5, t(4, 95%) = 2.1318; t = 11.18 has p = 0.000183."""
    duel = Duel((0.5 - 0.1 * 2**0.5, 0.5, 0.5, 0.5, 0.5 + 0.1 * 2**0.5))
    error = 2.131847 * 0.1 / math.sqrt(5)
    assert duel.bounds == pytest.approx((0.5 - error, 0.5 + error), abs=1e-6)
    assert duel.p_value == pytest.approx(0.000183, abs=2e-6)


def test_gains_that_are_all_the_same_are_one_run_and_prove_nothing_more() -> None:
    assert Duel((0.3,) * 5).p_value is None
    told = summarised(tried(state(), state(), [0.3] * 5))
    assert (told.wins, told.seeds) == (1, 1)
    assert Duel((0.3,)).p_value is None


def test_seeds_that_came_to_the_same_are_all_counted_where_others_did_not() -> None:
    told = summarised(tried(state(), state(), [0.3, 0.3, 0.2]))
    assert (told.wins, told.seeds) == (3, 3)


def test_who_ended_lower_is_told_only_where_it_is_worth_telling() -> None:
    assert "lower in 3 of 3 seeds, its loss smaller by a factor of 2.72 (p = 0.002)" in paired(Duel((1.0, 1.1, 0.9)))
    assert "lower in 0 of 3 seeds, its loss larger by a factor of 2.72" in paired(Duel((-1.0, -1.1, -0.9)))
    assert paired(Duel((0.02, 0.03, 0.01))).endswith("ended as low as the untreated one, within 5%.")
    assert not paired(Duel((0.3, 0.3, 0.3)))
    assert summarised(tried(state(), state(), [0.02, 0.03, 0.01])).p_value is None


@pytest.mark.parametrize(
    ("gains", "settled"),
    [
        ([1.0, 1.1], False),
        ([1.0, 1.1, 1.2], True),
        ([0.1, 1.1, 2.2], False),
        ([-0.1, -0.2, -0.3], True),
        ([0.0, 0.0, 0.0], True),
        ([0.1, 1.1, 2.2, 0.4], False),
        ([0.1, 1.1, 2.2, 0.4, 0.5], True),
    ],
)
def test_three_pairs_decide_where_they_are_clear_and_five_in_any_case(gains: list[float], settled: bool) -> None:  # noqa: FBT001
    assert Duel(tuple(gains)).settled is settled


def test_a_treatment_must_gain_more_than_a_random_change_unless_it_cures_everything() -> None:
    both, one, none = state(A=WARNING, B=WARNING), state(B=WARNING), state()
    control = Control(("l2",), Duel((1.0, 1.1, 0.9)))
    gains = [0.5, 0.6, 0.4]
    assert judged(tried(both, one, gains)) is RemedyStatus.WORKS
    assert judged(tried(both, one, gains), control) is RemedyStatus.INEFFECTIVE
    assert judged(tried(both, one, [1.5, 1.6, 1.4]), control) is RemedyStatus.WORKS
    assert judged(tried(both, none, gains), control) is RemedyStatus.WORKS


def test_losses_of_two_kinds_are_not_compared() -> None:
    worse = [-0.5, -0.6, -0.4]
    assert judged(tried(state(A=WARNING), state(), worse, "fix-loss")) is RemedyStatus.WORKS
