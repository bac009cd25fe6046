"""Treatments judged by trial: what must help does, what cannot does not, and every treatment cures a sick model."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from service.contract.report import Finding, Remedy, Report
from service.contract.words import RemedyStatus, Severity, Symptom, Verdict
from tests.case_files import examined, read
from tests.probe.subjects import dense, described
from worker.probe.measure import probe
from worker.trial.judging import judged
from worker.treatments import treatments
from worker.trial import Examined, Tried
from worker.trial.duel import PAIRS, Duel
from worker.trial.telling import summarised

HELPS = {RemedyStatus.RECOMMENDED, RemedyStatus.WORKS}
CURES = {
    "batch-norm": "GRD01",
    "clip-norm": "TRN01",
    "critical-init": "INI01",
    "fix-loss": "LOS01",
    "layer-norm": "GRD02",
    "leaky-relu": "UNT01",
    "learning-rate": "TRN01",
    "orthogonal-init": "UNT01",
    "recurrent-init": "REC01",
    "relu": "GRD01",
    "residual-scale": "GRD02",
    "selu": "GRD01",
    "standardize-input": "INP01",
    "tanh": "GRD01",
}
"""Per treatment, the rule whose sick model it cures."""
RELU = {"kind": "relu"}


def network(*layers: dict[str, Any], size: int = 16, head: bool = True, **training: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a case of a described network: one seed, a short trial."""
    model = {
        "gradgate": "1",
        "input": {"shape": [size]},
        "layers": [*layers, *([{"kind": "dense", "units": 4}] if head else [])],
        **training,
    }
    return {"model": model, "options": {"seeds": 1, "steps": 50}}


def deep(depth: int, *layers: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "repeat", "times": depth, "layers": list(layers)}


TWICE_ILL = {
    **network(dense(48), RELU, dense(4), {"kind": "softmax"}, head=False, loss="cross_entropy"),
    "batch": {"input": {"law": "normal", "std": 1000}, "target": {"law": "classes", "of": 4}},
}
CASES = {
    "default init of twenty layers": network(deep(20, {"kind": "dense", "units": 32}, RELU)),
    "a rate of fifty": network(dense(32), RELU, dense(32), RELU, optimizer="sgd", learning_rate=50),
    "two ills": TWICE_ILL,
    "healthy": network(dense(32), RELU, dense(32), RELU),
}


@pytest.fixture(scope="module")
def treated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Report]:
    """Return a function that examines, once, a case or a rule's sick model with everything tried."""
    done: dict[str, Report] = {}

    def report(name: str) -> Report:
        if name not in done:
            case = CASES[name] if name in CASES else read(name, "sick")
            done[name] = examined(case, tmp_path_factory.mktemp("case"), treat=True)
        return done[name]

    return report


Treated = Callable[[str], Report]


def remedy(report: Report, name: str) -> Remedy:
    (found,) = [each for each in report.remedies if each.treatment == name]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", list(treatments))
def test_every_treatment_cures_a_sick_model(name: str, treated: Treated) -> None:
    found = remedy(treated(CURES[name]), name)
    assert CURES[name] in found.cures
    assert found.status in HELPS
    assert found.changes
    assert found.trial is not None
    assert found.trial.seeds == PAIRS


def test_clipping_does_nothing_against_vanishing(treated: Treated) -> None:
    found = remedy(treated("GRD01"), "clip-norm")
    assert found.status is RemedyStatus.INEFFECTIVE
    assert found.cures == ()
    assert "GRD01" in found.leaves


def test_no_scale_of_weights_makes_a_deep_sigmoid_network_train(treated: Treated) -> None:
    for name in ("critical-init", "orthogonal-init"):
        assert remedy(treated("GRD01"), name).status is RemedyStatus.INEFFECTIVE


@pytest.mark.slow
def test_critical_init_cures_pytorchs_default_and_batch_norm_turns_fading_into_growing(treated: Treated) -> None:
    """Twenty layers of default weights pass e⁻³⁴; He's pass all; batch norm without skips makes it e⁺⁷ and more."""
    report = treated("default init of twenty layers")
    assert report.verdict is not Verdict.PASS
    init, norm = remedy(report, "critical-init"), remedy(report, "batch-norm")
    assert init.status in HELPS
    assert "GRD01" in init.cures
    assert init.trial is not None
    assert abs(float(init.trial.after["gain"])) < 6 < abs(float(init.trial.before["gain"]))
    assert norm.trial is not None
    assert float(norm.trial.after["gain"]) > 6


def test_a_lower_rate_cures_a_rate_of_fifty(treated: Treated) -> None:
    report = treated("a rate of fifty")
    assert report.verdict is Verdict.FAIL
    assert "TRN01" in remedy(report, "learning-rate").cures
    assert report.prescription is not None
    assert report.prescription.remedies == ("learning-rate",)


@pytest.mark.slow
def test_two_ills_that_no_single_treatment_cures_get_a_pair(treated: Treated) -> None:
    report = treated("two ills")
    assert {"INP01", "LOS01"} <= {finding.code for finding in report.findings}
    before = {finding.code for finding in report.findings if finding.severity is not Severity.INFO}
    assert not [each for each in report.remedies if set(each.cures) == before and not each.causes]
    assert report.prescription is not None
    assert len(report.prescription.remedies) == 2
    assert "fix-loss" in report.prescription.remedies
    assert "found to cure it" in report.summary


def test_a_healthy_network_gets_no_remedies(treated: Treated) -> None:
    report = treated("healthy")
    assert (report.verdict, report.remedies, report.prescription) == (Verdict.PASS, (), None)


def test_where_nothing_cures_nothing_is_prescribed(treated: Treated) -> None:
    report = treated("NUM01")
    assert report.prescription is None
    assert "cure" not in report.summary
    assert not any(each.cures or each.status in HELPS for each in report.remedies)


@pytest.mark.parametrize("name", ["GRD01", "NUM01", "INI01"])
def test_what_a_remedy_cures_leaves_and_causes_are_set_differences(name: str, treated: Treated) -> None:
    report = treated(name)
    before = {finding.code for finding in report.findings if finding.severity is not Severity.INFO}
    tried = [each for each in report.remedies if each.trial is not None]
    assert tried
    for each in tried:
        assert set(each.cures) | set(each.leaves) == before
        assert not set(each.cures) & set(each.leaves)
        assert not set(each.causes) & before
    for finding in report.findings:
        assert set(finding.remedies) == {each.id for each in report.remedies if finding.code in each.cures}


@pytest.mark.parametrize("name", ["GRD01", "a rate of fifty"])
def test_what_is_prescribed_is_recommended_and_stands_first(name: str, treated: Treated) -> None:
    report = treated(name)
    assert report.prescription is not None
    recommended = [each.id for each in report.remedies if each.status is RemedyStatus.RECOMMENDED]
    assert set(recommended) == set(report.prescription.remedies)
    assert [each.id for each in report.remedies[: len(recommended)]] == recommended


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


def tried(after: Examined, gains: Sequence[float]) -> Tried:
    return Tried((), (), after, tuple(gains))


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
    assert judged(before, tried(after, gains)) is expected


def test_bounds_and_p_value_are_those_of_students_test() -> None:
    """By hand: mean 0.5, standard error 0.1 / √5, t(4, 95%) = 2.1318; t = 11.18 has p = 0.000183."""
    found = tried(state(), [0.5 - 0.1 * 2**0.5, 0.5, 0.5, 0.5, 0.5 + 0.1 * 2**0.5])
    error = 2.131847 * 0.1 / math.sqrt(5)
    assert found.bounds == pytest.approx((0.5 - error, 0.5 + error), abs=1e-6)
    assert found.p_value == pytest.approx(0.000183, abs=2e-6)


def test_gains_that_are_all_the_same_are_one_run_and_prove_nothing_more() -> None:
    assert tried(state(), [0.3] * 5).p_value is None
    assert summarised(state(), tried(state(), [0.3] * 5)).seeds == 1
    assert tried(state(), [0.3]).p_value is None
