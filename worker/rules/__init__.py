"""Rules read evidence and speak: one function per module, pure, and its docstring is its page.

To add one: a module here with a function decorated by `@rule`, and a pair `tests/cases/<CODE>/{sick,healthy}.json`.
The docstring's first line is the finding's title; then come the four headings of a page.  Thresholds are keyword
defaults. A rule returns an `Observation` where it fires and a `Silence` where it does not, so that the report can
say which rules were clear, which did not apply and which could not judge.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal, TypeAlias

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from service.registry import Registry
from worker.page import sections
from worker.probe.evidence import Evidence, ParameterEvidence, Spot

SHOWN_PLACES: Final = 5
HEADINGS: Final = ("What it measures", "Why it matters", "When it is wrong", "References")


@dataclass(frozen=True)
class Observation:
    """What a rule saw."""

    explanation: str
    """One or two sentences that a person would say, with the number, the limit and the unit."""
    severity: Severity
    places: tuple[Place, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 1.0


@dataclass(frozen=True)
class Silence:
    """Why a rule did not fire."""

    status: Literal["clear", "not_applicable", "could_not_judge"]
    reason: str = ""


Answer: TypeAlias = Observation | Silence
CLEAR: Final = Silence("clear")


@dataclass(frozen=True)
class Rule:
    """A registered rule."""

    code: str
    symptom: Symptom
    order: int
    """Causes come before what they cause; findings are listed by it."""
    aliases: tuple[str, ...]
    """What other tools call it."""
    judge: Callable[[Evidence], Answer]
    told_by: frozenset[Symptom] = frozenset()
    """Causes that say all there is to say: where a rule of an earlier order warns of one, this one is not a finding."""

    @property
    def title(self) -> str:
        """The first line of the page."""
        return self._page.splitlines()[0]

    @property
    def _page(self) -> str:
        return inspect.getdoc(self.judge) or ""

    @property
    def sections(self) -> dict[str, str]:
        """The page's text under each of its headings."""
        return sections(self._page)

    @property
    def thresholds(self) -> dict[str, float]:
        """The rule's limits by name."""
        parameters = inspect.signature(self.judge).parameters.values()
        return {given.name: given.default for given in parameters if isinstance(given.default, int | float)}


rules: Registry[Rule] = Registry(__name__)


def rule(
    code: str, symptom: Symptom, *, order: int, aliases: Iterable[str] = (), told_by: Iterable[Symptom] = ()
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Register the decorated function under `code`.

    A finding is no news where a rule of an earlier `order` has found one of the symptoms `told_by`: that is its cause.
    """

    def register(judge: Callable[..., Answer]) -> Callable[..., Answer]:
        rules.add(code, Rule(code, symptom, order, tuple(aliases), judge, frozenset(told_by)))
        return judge

    return register


def places_of(parameters: Iterable[ParameterEvidence]) -> tuple[Place, ...]:
    """Return where parameters are that something is wrong with altogether, one for each layer of the caller's file."""
    found: dict[str, ParameterEvidence] = {}
    for parameter in parameters:
        found.setdefault(parameter.origin or parameter.name, parameter)
    return tuple(
        Place(node=each.node, origin=each.origin, parameter=each.name, also=each.also, measured=0, limit=0)
        for each in islice(found.values(), SHOWN_PLACES)
    )


def places_at(spots: Iterable[Spot], limit: float = 0.0) -> tuple[Place, ...]:
    """Return the first of the places that something was noticed at, with what was measured there."""
    return tuple(
        Place(node=each.node, origin=each.origin, measured=each.measured, limit=limit)
        for each in islice(spots, SHOWN_PLACES)
    )


def weigh(evidence: Evidence, *, certain: bool = False) -> Severity:
    """Return how much a finding weighs: evidence warns; certainty, or a training trial that failed, rejects."""
    failed = evidence.training is not None and evidence.training.failed
    return Severity.ERROR if certain or failed else Severity.WARNING


def absent(evidence: Evidence, reason: str) -> Silence:
    """Return why there is nothing for a rule to read: numbers are not finite, or, by `reason`, it does not apply."""
    if evidence.nonfinite is not None:
        return Silence("could_not_judge", "some numbers are not finite; see NUM01")
    return Silence("not_applicable", reason)


def too_few(evidence: Evidence, adequate: int, what: str) -> Silence:
    """Return why a rule cannot judge a batch of fewer than `adequate` samples; `what` says what those would do."""
    count = "a single sample is" if evidence.samples == 1 else f"{evidence.samples} samples are"
    return Silence("could_not_judge", f"{count} too few; {adequate} {what}")


def note(evidence: Evidence) -> Severity:
    """Return how much a finding weighs that healthy networks show, too: a note, unless the training trial failed."""
    failed = evidence.training is not None and evidence.training.failed
    return Severity.ERROR if failed else Severity.INFO


def learnt(evidence: Evidence) -> bool:
    """Return whether training speaks for the network: it came trained, or learnt in every way that was tried."""
    trial = evidence.training
    return trial is not None and (trial.converged or (bool(trial.runs) and all(run.beaten for run in trial.runs)))
