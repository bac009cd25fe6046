"""The table of what others look for names every rule there is, and none that there is not."""

import re
from pathlib import Path

from worker.rules import rules

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
NAMED = set(re.findall(r"`([A-Z]{3}\d{2})`", PAGE.read_text("utf-8")))


def test_every_rule_that_the_page_names_exists() -> None:
    assert NAMED - set(rules) == set()


def test_every_rule_is_named_on_the_page() -> None:
    assert set(rules) - NAMED == set()


def test_every_line_has_a_rule_or_a_reason() -> None:
    lines = [
        line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and "looked for" not in line
    ]
    assert len(lines) > 50
    assert all(line.rstrip(" |").rpartition("|")[2].strip() for line in lines)
