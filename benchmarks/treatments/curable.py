"""The sick models that are to be cured, and those that no change of network or training cures."""

from collections.abc import Iterator
from typing import Final

from benchmarks.diagnosis.case import Case, cases

INCURABLE: Final = {
    "inputs/one-class": "Every target is the same: the batch holds nothing to learn, and only its owner has another.",
}
"""Why, by `family/variant`, decided by hand."""


def sick(half: str) -> Iterator[Case]:
    """Yield the sick models of a half that count; of both where `half` is empty."""
    return (case for case in cases() if case.sick and case.scored and case.half.startswith(half))


def incurable(case: Case) -> str | None:
    """Return why no change of network or training cures a model; None where one may."""
    return INCURABLE.get(case.name.rpartition("-")[0])
