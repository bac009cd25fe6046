"""What a report says of trials: prescriptions, what was tried, and what was not."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.contract.problem import Invalid
from service.contract.report import Remedy, Report
from service.contract.words import RemedyStatus, Severity, Verdict
from tests.case_files import examined, files, read
from tests.probe.subjects import dense
from worker.examine import examine

HELPS = {RemedyStatus.RECOMMENDED, RemedyStatus.WORKS}
CLASSES = {"law": "classes", "of": 4}
ASKED = ["clip-value", "dropout", "l1", "l2"]
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


def with_options(code: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a rule's sick model with further options."""
    case = read(code, "sick")
    return {**case, "options": {**case["options"], **more}}


TWICE_ILL = {
    **network(dense(48), RELU, dense(4), {"kind": "softmax"}, head=False, loss="cross_entropy"),
    "batch": {"input": {"law": "normal", "std": 1000}, "target": CLASSES},
}
CASES = {
    "a rate of fifty": network(dense(32), RELU, dense(32), RELU, optimizer="sgd", learning_rate=50),
    "asked for": with_options("GRD01", treatments=ASKED),
    "quick": with_options("GRD01", depth="quick"),
    "no time": with_options("GRD01", time_limit_s=0.5),
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
    report = treated("TGT01")
    assert report.prescription is None
    assert report.partial is None
    assert "cure it" not in report.summary
    assert not any(each.cures or each.status in HELPS for each in report.remedies)


@pytest.mark.parametrize("name", ["GRD01", "LOS01", "INI01"])
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


def test_what_was_asked_for_is_tried_though_nothing_speaks_for_it(treated: Treated) -> None:
    """The articles' advice against a vanishing gradient: it does nothing."""
    report = treated("asked for")
    for name in ASKED:
        assert remedy(report, name).status is RemedyStatus.INEFFECTIVE
        assert "GRD01" in remedy(report, name).leaves


def test_a_quick_look_stops_at_the_first_cure(treated: Treated) -> None:
    report = treated("quick")
    assert report.prescription is not None
    waiting = [each for each in report.remedies if each.status is RemedyStatus.UNTESTED]
    assert waiting
    assert all("cure had been found" in each.note for each in waiting)


def test_a_prescription_explains_itself_with_numbers(treated: Treated) -> None:
    report = treated("GRD01")
    assert report.prescription is not None
    said = report.prescription.explanation
    assert re.search(r"gain \(ln of its square\) -\d+\.\d → [-+]\d", said), said
    assert re.search(r"the loss within \d+ steps \d\.\d+ → \d?\.?\d+", said), said
    assert re.search(r"lower in \d of \d seeds", said), said
    assert report.prescription.verified_seeds == 1


def test_time_that_runs_out_leaves_a_report_that_says_what_was_not_tried(treated: Treated) -> None:
    report = treated("no time")
    late = [each for each in report.remedies if each.status is RemedyStatus.UNTESTED]
    assert late
    assert all("no time" in each.note for each in late)


def test_a_name_that_is_no_treatment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="'prayer'"):
        examined(with_options("GRD01", treatments=["prayer"]), tmp_path, treat=True)


@pytest.mark.parametrize(("std", "holds"), [(1000, True), (1, False)])
def test_a_second_batch_must_bear_a_prescription_out(std: float, holds: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Inputs are standardized by the first batch; where another's are a thousandth of them, that was no cure."""
    case = {**network(dense(32), RELU), "batch": {"input": {"law": "normal", "std": 1000}, "target": CLASSES}}
    model, batch, options = files(case, tmp_path, treat=True)
    second = tmp_path / "second.npz"
    drawn = np.random.default_rng(1)
    np.savez(second, input=std * drawn.standard_normal((64, 16)).astype("f"), target=drawn.integers(4, size=64))
    found = examine(model, batch, options, second=second).prescription
    assert (found is not None and "standardize-input" in found.remedies) is holds
    assert found is None or found.second_batch
