"""Rules read evidence and speak: one function per module, pure, and its docstring is its page.

To add one: a module here with a function decorated by `@rule`, and a pair `tests/cases/<CODE>/{sick,healthy}.json`.
The docstring's first line is the finding's title; then come the four headings of a page.  Thresholds are keyword
defaults. A rule returns an `Observation` where it fires and a `Silence` where it does not, so that the report can
say which rules were clear, which did not apply and which could not judge.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from service.contract.words import Symptom
from service.registry import Registry
from worker.answers import (
    CLEAR,
    FAILED_RUN,
    SHORT_RUN,
    SHOWN_PLACES,
    Answer,
    Observation,
    Silence,
    absent,
    among,
    learnt,
    note,
    place_at,
    places_at,
    places_of,
    several,
    some,
    too_few,
    undeclared,
    ungained,
    untrained,
    weigh,
)
from worker.page import sections
from worker.probe.evidence import Evidence

__all__ = [
    "CLEAR",
    "FAILED_RUN",
    "HEADINGS",
    "SHORT_RUN",
    "SHOWN_PLACES",
    "Answer",
    "Observation",
    "Rule",
    "Silence",
    "absent",
    "among",
    "learnt",
    "note",
    "place_at",
    "places_at",
    "places_of",
    "rule",
    "rules",
    "several",
    "some",
    "too_few",
    "undeclared",
    "ungained",
    "untrained",
    "weigh",
]

HEADINGS: Final = ("What it measures", "Why it matters", "When it is wrong", "References")


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
