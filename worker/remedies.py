"""What a trial says: the status of each remedy, and the smallest set of treatments that cures."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from statistics import mean
from typing import Final

from service.contract.problem import Unfit
from service.contract.report import Prescription, Remedy
from service.contract.words import RemedyStatus, Severity, Verdict
from worker.budget import OutOfTime
from worker.treatments import Treatment, treatments
from worker.trial import WORTH, Bench, Examined, Tried, summarised

MOST_PAIRS: Final = 6


class Clinic:
    """Tries what may help a subject and remembers what came of it."""

    def __init__(self, bench: Bench) -> None:
        """Treat what `bench` measured before."""
        self._bench = bench
        self._tried: dict[str, Tried] = {}
        self._outcomes: dict[str, RemedyStatus] = {}

    def candidates(self) -> tuple[Treatment, ...]:
        """Return the treatments that any finding's symptom speaks for, the least costly first."""
        shown = {finding.symptom for finding in self._bench.before.findings if finding.severity is not Severity.INFO}
        fitting = [treatment for treatment in treatments.values() if treatment.symptoms & shown]
        return tuple(sorted(fitting, key=lambda treatment: (treatment.cost, treatment.name)))

    def try_one(self, treatment: Treatment) -> None:
        """Try a treatment by itself."""
        if self._bench.out_of_time:
            self._outcomes[treatment.name] = RemedyStatus.UNTESTED
            return
        try:
            tried = self._attempt((treatment,))
        except OutOfTime:
            self._outcomes[treatment.name] = RemedyStatus.UNTESTED
            return
        if tried is None:
            self._outcomes[treatment.name] = RemedyStatus.NOT_APPLICABLE
            return
        self._tried[treatment.name] = tried
        self._outcomes[treatment.name] = judged(self._bench.before, tried)

    def prescription(self) -> Tried | None:
        """Return the least costly set that passes, confirmed on fresh seeds: one treatment if one does, else two.

        None where none does, or the time is up before one is confirmed.
        """
        try:
            return self._prescription()
        except OutOfTime:
            return None

    def _prescription(self) -> Tried | None:
        singles = [tried for tried in self._tried.values() if self._cures(tried)]
        for tried in sorted(singles, key=_preference):
            if self._bench.confirmed(tried):
                return tried
        for tried in islice(self._pairs(), MOST_PAIRS):
            if self._cures(tried) and self._bench.confirmed(tried):
                return tried
        return None

    def remedies(self, chosen: Tried | None) -> tuple[Remedy, ...]:
        """Return every remedy as the report tells it, what helps most first."""
        recommended = {treatment.name for treatment in chosen.treatments} if chosen else set()
        told = [self._told(name, recommended=name in recommended) for name in self._outcomes]
        order = list(RemedyStatus)
        return tuple(sorted(told, key=lambda remedy: (order.index(remedy.status), treatments[remedy.treatment].cost)))

    def _attempt(self, chosen: Sequence[Treatment]) -> Tried | None:
        try:
            return self._bench.attempt(chosen)
        except Unfit:  # the copy no longer fits its batch: a treatment for another kind of network
            return None

    def _cures(self, tried: Tried) -> bool:
        return tried.after.verdict is Verdict.PASS and judged(self._bench.before, tried) is RemedyStatus.WORKS

    def _pairs(self) -> Iterator[Tried]:
        """Yield pairs of treatments of different kinds, those that come closest by themselves first."""
        ranked = sorted(self._tried.values(), key=_distance)
        for index, first in enumerate(ranked):
            for second in ranked[index + 1 :]:
                pair = sorted((*first.treatments, *second.treatments), key=lambda each: -each.cost)
                if len({each.kind for each in pair}) < len(pair) or self._bench.out_of_time:
                    continue
                tried = self._attempt(pair)
                if tried is not None:
                    yield tried

    def _told(self, name: str, *, recommended: bool) -> Remedy:
        treatment, tried, before = treatments[name], self._tried.get(name), self._bench.before
        after = tried.after.codes if tried else before.codes
        return Remedy(
            id=name,
            treatment=name,
            kind=treatment.kind,
            title=treatment.title,
            rationale=treatment.sections.get("Why it helps", ""),
            changes=tried.changes if tried else (),
            status=RemedyStatus.RECOMMENDED if recommended else self._outcomes[name],
            cures=tuple(sorted(before.codes - after)),
            leaves=tuple(sorted(before.codes & after)) if tried else (),
            causes=tuple(sorted(after - before.codes)),
            trial=summarised(before, tried) if tried else None,
            retrains=treatment.retrains,
        )


def prescription(before: Examined, chosen: Tried, *, handed_back: bool) -> Prescription:
    """Return the prescription as the report tells it; `handed_back` where the treated model can be had."""
    return Prescription(
        remedies=tuple(treatment.name for treatment in chosen.treatments),
        title=_joined([treatment.title for treatment in chosen.treatments]),
        trial=summarised(before, chosen),
        treated_model=handed_back,
    )


def _joined(titles: Sequence[str]) -> str:
    """Return titles as one sentence."""
    first, *others = titles
    return " and ".join([first, *(title[0].lower() + title[1:] for title in others)])


def judged(before: Examined, tried: Tried) -> RemedyStatus:
    """Return what a trial makes of its treatments.

    `harmful`: it adds an error, a training trial that fails among them.  `works`: it cures a finding, causes none
    and does not train worse: surely not where it cures an error, and in all likelihood not where it cures a
    warning, which the subject could have lived with.  Everything else is `ineffective`.
    """
    low, high = tried.bounds
    cures, causes = before.codes - tried.after.codes, tried.after.codes - before.codes
    if tried.after.errors - before.errors:
        return RemedyStatus.HARMFUL
    worse = high if before.errors - tried.after.errors else low
    trains = math.isnan(worse) or worse >= -WORTH
    return RemedyStatus.WORKS if cures and not causes and trains else RemedyStatus.INEFFECTIVE


def _preference(tried: Tried) -> tuple[int, float]:
    return tried.cost, -mean(tried.gains) if tried.gains else 0.0


def _distance(tried: Tried) -> tuple[int, int, int]:
    return len(tried.after.errors), len(tried.after.codes), tried.cost
