"""The catalogues and pages are what the code says, and every plug-in has its page."""

import json
from collections.abc import Callable

import pytest

from benchmarks.treatments.page import page
from worker import catalogue
from worker.rules import HEADINGS as RULE_HEADINGS
from worker.rules import rules
from worker.treatments import HEADINGS as TREATMENT_HEADINGS
from worker.treatments import treatments

Golden = Callable[[str, str], None]


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("rules", catalogue.rule_entries),
        ("treatments", catalogue.treatment_entries),
        ("operators", catalogue.operator_entries),
    ],
)
def test_a_catalogue_is_that_of_the_code(golden: Golden, name: str, entries: Callable[[], list[object]]) -> None:
    golden(f"service/catalogue/{name}.json", json.dumps(entries(), indent=1, ensure_ascii=False) + "\n")


def test_the_pages_are_those_of_the_code(golden: Golden) -> None:
    golden("docs/rules.md", catalogue.rules_page())
    golden("docs/treatments.md", page())


@pytest.mark.parametrize("code", list(rules))
def test_a_rule_has_every_heading_of_a_page(code: str) -> None:
    assert tuple(rules[code].sections) == RULE_HEADINGS
    assert rules[code].title.endswith(".")


@pytest.mark.parametrize("name", list(treatments))
def test_a_treatment_has_every_heading_of_a_page(name: str) -> None:
    assert tuple(treatments[name].sections) == TREATMENT_HEADINGS
    assert treatments[name].title
