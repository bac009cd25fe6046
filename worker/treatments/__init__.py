"""Treatments change a copy of a subject; they never judge themselves.

To add one: a module here with a function decorated by `@treatment`, which returns a `Change`, or None where there
is nothing to change.  The docstring's first line is the remedy's title; then come the four headings of a page.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from service.registry import Registry
from worker.page import sections
from worker.probe.evidence import Evidence
from worker.subject import Subject

HEADINGS: Final = ("What it changes", "Why it helps", "When it is wrong", "References")


@dataclass(frozen=True)
class Change:
    """A changed copy, and what was changed, as sentences."""

    subject: Subject
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Treatment:
    """A registered treatment."""

    name: str
    kind: TreatmentKind
    symptoms: frozenset[Symptom]
    """What it may help against; the trial decides."""
    cost: int
    """How much it asks of the owner: 1 a setting, 2 an initialization, 3 an activation, 4 a norm, 5 the structure."""
    retrains: bool
    """Whether applying it throws trained weights away."""
    apply: Callable[[Subject, Evidence], Change | None]

    @property
    def title(self) -> str:
        """The first line of the page."""
        return (inspect.getdoc(self.apply) or "").splitlines()[0]

    @property
    def sections(self) -> dict[str, str]:
        """The page's text under each of its headings."""
        return sections(inspect.getdoc(self.apply) or "")


treatments: Registry[Treatment] = Registry(__name__)

Apply = Callable[[Subject, Evidence], Change | None]


def treatment(
    name: str, kind: TreatmentKind, symptoms: Iterable[Symptom], *, cost: int, retrains: bool
) -> Callable[[Apply], Apply]:
    """Register the decorated function under `name`."""

    def register(apply: Apply) -> Apply:
        treatments.add(name, Treatment(name, kind, frozenset(symptoms), cost, retrains, apply))
        return apply

    return register
