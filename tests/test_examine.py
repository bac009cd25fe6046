"""The examination from upload to report: repeatable, indifferent to what does not matter, and complete."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.contract.options import Options
from service.contract.problem import Trouble
from service.contract.report import Finding, Report
from service.contract.words import Severity, Stage
from tests.case_files import arrays, examined, read
from tests.probe.subjects import chain, dense, described, tensors
from tests.probe.test_gain import renamed
from worker.budget import Deadline
from worker.diagnose import diagnose, verdict
from worker.examine import examine
from worker.probe.training import Ask
from worker.rules import rules
from worker.subject import Subject
from worker.trial import measured

RELU, SIGMOID = {"kind": "relu"}, {"kind": "sigmoid"}
SUBJECTS = {
    "vanishing": lambda: described(chain(12, {"kind": "dense", "units": 32}, SIGMOID)),
    "exploding": lambda: described(chain(20, dense(32, {"law": "normal", "std": 0.4}), RELU)),
    "dead": lambda: described(
        [dense(16), RELU, dense(32, {"kernel": "he_normal", "bias": {"law": "constant", "value": -30}}), RELU, dense(4)]
    ),
    "symmetric": lambda: described([dense(16, {"law": "constant", "value": 0.1}), RELU, dense(4)]),
    "healthy": lambda: described(chain(3, dense(32), RELU)),
}


def told(subject: Subject, steps: int = 200) -> dict[str, Severity]:
    """Return the findings of a whole measurement, training included, and their severities."""
    evidence = measured(subject, Ask(steps, both=True), Deadline.after(1e9))
    return {finding.code: finding.severity for finding in diagnose([evidence])[0]}


@pytest.fixture(scope="module")
def plain() -> dict[str, dict[str, Severity]]:
    """What the subjects show as they are."""
    return {name: told(make()) for name, make in SUBJECTS.items()}


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("name", list(SUBJECTS))
def test_the_loss_a_million_times_larger_or_smaller_changes_no_finding(
    name: str, scale: float, plain: dict[str, dict[str, Severity]]
) -> None:
    subject = SUBJECTS[name]()
    assert told(subject.replace(loss=replace(subject.loss, scale=scale))) == plain[name]


@pytest.mark.parametrize("name", list(SUBJECTS))
def test_the_order_of_samples_changes_no_finding(name: str, plain: dict[str, dict[str, Severity]]) -> None:
    subject = SUBJECTS[name]()
    order = np.random.default_rng(1).permutation(subject.batch.size)
    inputs = {each: value[order] for each, value in subject.batch.inputs.items()}
    assert (
        told(subject.replace(batch=replace(subject.batch, inputs=inputs, target=subject.target[order]))) == plain[name]
    )


@pytest.mark.parametrize("name", list(SUBJECTS))
def test_other_names_change_no_finding(name: str, plain: dict[str, dict[str, Severity]]) -> None:
    assert told(renamed(SUBJECTS[name]())) == plain[name]


@pytest.mark.parametrize("name", list(SUBJECTS))
def test_measuring_and_training_leave_the_subject_as_it_was(name: str) -> None:
    subject = SUBJECTS[name]()
    before = tensors(subject)
    told(subject, steps=20)
    assert all(bool((before[each] == value).all()) for each, value in tensors(subject).items())


def test_the_subjects_are_as_ill_as_their_names(plain: dict[str, dict[str, Severity]]) -> None:
    expected = {"vanishing": "GRD01", "exploding": "GRD02", "dead": "UNT01", "symmetric": "INI01"}
    assert all(code in plain[name] for name, code in expected.items())
    assert not plain["healthy"]


def described_case(depth: int, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    layers = [{"kind": "repeat", "times": depth, "layers": [dense(16, "xavier_normal"), SIGMOID]}, dense(4)]
    return {"model": {"gradgate": "1", "input": {"shape": [8]}, "layers": layers}, "options": {"steps": 20, **options}}


@pytest.mark.slow
def test_examining_twice_gives_the_same_report_and_another_seed_another(tmp_path: Path) -> None:
    case = described_case(4, seeds=2, treat=True)
    first, again = (examined(case, tmp_path) for _ in range(2))
    assert first.remedies
    assert first.digest == again.digest
    drop = {"id", "created_at", "timing"}
    assert first.model_dump(exclude=drop) == again.model_dump(exclude=drop)
    assert examined(case, tmp_path, seed=1).digest != first.digest


def test_the_report_is_complete(tmp_path: Path) -> None:
    report = examined(read("GRD01", "sick"), tmp_path)
    assert {coverage.code for coverage in report.coverage} == set(rules)
    assert {coverage.code for coverage in report.coverage if coverage.status == "fired"} == codes(report)
    assert report.verdict is verdict(report.findings)
    assert report.fidelity.ok
    assert set(report.timing) >= {"loading", "probing", "treating"}
    assert report.training is not None
    assert len(report.training.loss) == report.training.steps == 50
    assert [row.depth for row in report.profile] == sorted(row.depth for row in report.profile)
    parameters = 16 * 32 + 32 + 7 * (32 * 32 + 32) + 32 * 4 + 4
    assert (report.model.format, report.model.parameters) == ("gradgate", parameters)
    assert report.model_validate_json(report.model_dump_json(by_alias=True)).digest == report.digest


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def test_stages_come_in_order_and_progress_never_falls(tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    model.write_text(json.dumps(described_case(5)["model"]))
    seen: list[tuple[Stage, float]] = []
    examine(model, None, Options(steps=10, seeds=1), progress=lambda stage, done, _: seen.append((stage, done)))
    stages = [stage for stage, _ in seen]
    assert stages == sorted(stages, key=list(Stage).index)
    shares = [done for _, done in seen]
    assert shares == sorted(shares)
    assert stages[0] is Stage.LOADING
    assert stages[-1] is Stage.REPORTING


def test_a_batch_that_does_not_fit_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    case = {**described_case(2), "batch": {"input": [[1.0, 2.0, 3.0]], "target": [0]}}
    with pytest.raises(Trouble, match="8"):
        examined(case, tmp_path)


def test_a_majority_of_draws_decides() -> None:
    """Two draws that show an error against one reject; one against two is told, and weighs a step less."""
    ill, well = SUBJECTS["symmetric"](), SUBJECTS["healthy"]()
    deadline = Deadline.after(1e9)
    sick, healthy = (measured(subject, Ask(20), deadline) for subject in (ill, well))
    assert found([sick, sick, healthy])["INI01"].severity is Severity.ERROR
    assert found([sick, healthy, healthy])["INI01"].severity is Severity.WARNING
    assert found([sick, healthy])["INI01"].severity is Severity.WARNING
    shown = found([sick, sick, healthy])["INI01"]
    assert shown.evidence["seeds_showing"] == 2
    assert shown.confidence == pytest.approx(2 / 3)


def found(evidences: list[Any]) -> dict[str, Finding]:
    return {finding.code: finding for finding in diagnose(evidences)[0]}


def test_case_files_draw_what_they_describe() -> None:
    batch = {"samples": 4, "input": {"law": "normal", "mean": 5, "std": 0}, "poison": {"sample": 2, "value": "inf"}}
    drawn = arrays(batch, {"shape": [3]})["input"]
    assert drawn.shape == (4, 3)
    assert np.isinf(drawn[2, 0])
    assert (np.delete(drawn.reshape(-1), 6) == 5).all()
