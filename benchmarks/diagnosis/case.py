"""What a case is: a model, a batch, and the verdict that it deserves.

Every variant of a family is built twice, once for each half, from different seeds, widths, depths and batches.  The
half was fixed before any threshold was chosen.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

Severity = Literal["healthy", "mild", "borderline", "moderate", "severe"]
Half = Literal["tuning", "held-out"]

LABELS = Path(__file__).with_name("labels.json")
UNSCORED = frozenset({"borderline"})
"""Severities that are reported and not scored."""


@dataclass(frozen=True)
class Case:
    """A model as a caller would upload it, and what is known of it."""

    name: str
    """`family/variant-seed`, unique."""
    family: str
    model: bytes
    suffix: Literal[".json", ".onnx"]
    batch: Mapping[str, np.ndarray]
    """The inputs by name, and `target`."""
    options: Mapping[str, Any]
    """As `service.contract.options.Options` takes them."""
    sick: bool
    symptoms: frozenset[str]
    """Any one of these names the fault correctly; empty where there is none."""
    severity: Severity
    hard: bool
    """Whether it is a healthy model that looks sick, or a sick one that looks healthy."""
    half: Half
    certain: bool = False
    """Whether the fault stands although training may get round it: a dead branch, a wrong head."""

    @property
    def scored(self) -> bool:
        """Whether a verdict on it counts."""
        return self.severity not in UNSCORED


def constructed() -> Iterator[Case]:
    """Yield all cases as they were made, whatever training said."""
    from benchmarks.diagnosis.families import FAMILIES  # noqa: PLC0415  families are made of cases

    for family in FAMILIES:
        yield from family()


def cases() -> Iterator[Case]:
    """Yield all cases; those on which construction and training disagree are borderline."""
    labels = json.loads(LABELS.read_text(encoding="utf-8"))["cases"] if LABELS.exists() else {}
    for case in constructed():
        disputed = labels.get(case.name, {}).get("label") == "borderline"
        yield dataclasses.replace(case, severity="borderline") if disputed else case
