"""ONNX's own suite: what passed once must go on passing, and enough of it passes."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conformance import results, table
from operators_page import page
from reasons import reason
from suite import KINDS, cases, verdict

SHARES = {"float": 0.995, "int/bool": 1.0, "light": 1.0}
"""The least share of cases of plain tensors that pass."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_passed_passes(kind: str) -> None:
    expected = [key for key, ended in results().items() if ended.status == "pass" and cases()[key].kind == kind]
    assert expected
    failing = {key: ended.why for key in expected if (ended := verdict(key)).status != "pass"}
    assert not failing, "what passed before fails now"


def test_every_case_is_accounted_for() -> None:
    assert results().keys() == cases().keys(), "the suite has changed: run `make conformance`"


def test_every_case_that_does_not_pass_has_its_reason() -> None:
    assert not [key for key, ended in results().items() if ended.status != "pass" and reason(key) is None]


@pytest.mark.parametrize("category", SHARES)
def test_cases_of_plain_tensors_pass(category: str) -> None:
    counts = table(results())[category]
    assert counts["pass"] >= SHARES[category] * counts["cases"]


def test_the_page_of_operators_is_that_of_the_code(golden: Callable[[str, str], None]) -> None:
    golden("docs/operators.md", page())
