"""Every rule proves itself on a pair of models: the sick one is found, the healthy one is left in peace."""

from pathlib import Path

import pytest

from service.contract.words import Severity, Verdict
from tests.case_files import CASES, examined, read
from worker.rules import rules


@pytest.mark.parametrize("code", list(rules))
def test_the_sick_model_is_found(code: str, tmp_path: Path) -> None:
    report = examined(read(code, "sick"), tmp_path)
    (finding,) = [finding for finding in report.findings if finding.code == code]
    assert finding.severity is Severity.INFO or report.verdict is not Verdict.PASS


@pytest.mark.parametrize("code", list(rules))
def test_the_healthy_model_passes_and_the_rule_was_judged_on_it(code: str, tmp_path: Path) -> None:
    report = examined(read(code, "healthy"), tmp_path)
    assert {finding.code for finding in report.findings} & {code} == set()
    assert report.verdict is Verdict.PASS, report.summary
    (coverage,) = [coverage for coverage in report.coverage if coverage.code == code]
    assert coverage.status == "clear", coverage.reason


def test_every_case_belongs_to_a_rule() -> None:
    assert {folder.name for folder in CASES.iterdir()} == set(rules)
