"""Treatments change a copy of a subject; they never judge themselves.

To add one: a module here with a function decorated by `@treatment`, which returns a `Change`, or why it has nothing to
change.  The docstring's first line is the remedy's title; then come the four headings of a page.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from string import Template
from typing import Final, TypeAlias

from service.contract.words import Symptom, TreatmentKind
from service.registry import Registry
from worker.network.gathered import Gathered
from worker.page import sections
from worker.probe.evidence import Evidence
from worker.subject import Subject

HEADINGS: Final = ("What it changes", "Why it helps", "When it is wrong", "References")


@dataclass(frozen=True)
class Change:
    """A changed copy, and what was changed, as sentences."""

    subject: Subject
    changes: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    """What fills the blanks of the hints: a limit, a rate."""


@dataclass(frozen=True)
class Inapplicable:
    """Why a treatment has nothing to change in a subject, as a sentence."""

    reason: str


Outcome: TypeAlias = Change | Inapplicable
Apply: TypeAlias = Callable[[Subject, Evidence], Outcome]


@dataclass(frozen=True)
class Hints:
    """How to do the same in a framework, some three lines each; `$limit` and the like are blanks.

    Both run as they stand where `model` is the caller's network (and, for torch, `optimizer`, `loss_fn`, `x` and `y`
    are at hand, torch is imported and `nn` is torch.nn; for Keras, keras is imported).
    """

    torch: str = ""
    keras: str = ""

    def filled(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return the hints by framework, with their blanks filled."""
        said = {"torch": self.torch, "keras": self.keras}
        return {name: Template(inspect.cleandoc(hint)).safe_substitute(values) for name, hint in said.items() if hint}


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
    apply: Apply
    hints: Hints = Hints()

    @property
    def title(self) -> str:
        """The first line of the page."""
        return (inspect.getdoc(self.apply) or "").splitlines()[0]

    @property
    def sections(self) -> dict[str, str]:
        """The page's text under each of its headings."""
        return sections(inspect.getdoc(self.apply) or "")


treatments: Registry[Treatment] = Registry(__name__)


def treatment(
    name: str,
    kind: TreatmentKind,
    symptoms: Iterable[Symptom] = (),
    *,
    cost: int,
    retrains: bool,
    hints: Hints = Hints(),
) -> Callable[[Apply], Apply]:
    """Register the decorated function under `name`; one without symptoms is tried only where it is asked for."""

    def register(apply: Apply) -> Apply:
        treatments.add(name, Treatment(name, kind, frozenset(symptoms), cost, retrains, apply, hints))
        return apply

    return register


def gathering(apply: Apply) -> Apply:
    """Let a treatment read recurrent weights as parameters where the file lays them out from others."""

    @wraps(apply)
    def applied(subject: Subject, evidence: Evidence) -> Outcome:
        gathered = Gathered.of(subject.graph)
        made = apply(subject.replace(graph=gathered.graph), evidence)
        if isinstance(made, Inapplicable):
            return made
        return replace(made, subject=made.subject.replace(graph=gathered.restored(made.subject.graph)))

    return applied
