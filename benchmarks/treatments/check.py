"""Whether treatments cure a sick model: asked under fresh seeds, of training that the service has no part in.

A model that was not to be trained is cured where at least two of three fresh draws learn.  A model whose fault is
certain though training gets round it (label `fault`) has to learn as well, and the finding has to be gone under a fresh
seed.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

from benchmarks.diagnosis.case import LABELS, Case
from benchmarks.diagnosis.labels import loaded
from benchmarks.treatments.advice import advised, of_settings
from benchmarks.treatments.training import FRESH, Reached, reached
from service.contract.report import Finding
from service.contract.words import Severity
from worker.budget import Deadline
from worker.diagnose import diagnose, verdict
from worker.probe.evidence import Evidence
from worker.probe.training import LEARNT as GOAL
from worker.probe.training import Ask
from worker.subject import Subject
from worker.trial import measured

SEEDS: Final = 3
ENOUGH: Final = 2
MOST: Final = 0.5
"""Share of the seeds that have to learn for an optimizer to count among those that teach a model."""
APART: Final = 10
"""How far fresh seeds lie from one another, so that their redraws do not meet."""
LONG_S: Final = 60.0
SHORT_S: Final = 8.0
"""Processor seconds into a question after which no optimizer is tried at more than two rates: for what is prescribed,
and for what it is compared with.
"""
STEPS: Final = 200
"""Steps of the service's trial at the standard depth."""
_LIMIT_S: Final = 120.0
"""Seconds that a look at a treated model may take."""


@dataclass(frozen=True)
class Cure:
    """What became of a model under treatments."""

    treatments: tuple[str, ...]
    cured: bool
    note: str = ""
    """Why nothing was changed, where nothing was."""
    ratios: tuple[Mapping[str, float], ...] = ()
    """What the loss came to by the best constant's under each optimizer, seed by seed, until the seeds decided."""
    every: bool | None = None
    """Whether it learns under every optimizer, where that was asked."""
    verdict: str = ""
    """What the service says of the treated model under a fresh seed, where it was asked."""
    left: tuple[str, ...] = ()
    """The model's symptoms that it still finds."""

    def told(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        ratios = tuple({name: _told(each) for name, each in seed.items()} for seed in self.ratios)
        held = asdict(self) | {"ratios": ratios}
        return {key: value for key, value in held.items() if value is not None and value not in ("", ())}


class Check:
    """A sick model, to be asked of any number of treatments."""

    def __init__(self, case: Case) -> None:
        """Load a case."""
        self.subject, self._case = loaded(case), case
        kept = json.loads(LABELS.read_text(encoding="utf-8"))["cases"]
        label = kept.get(case.name, {})
        self.certain = label.get("label") == "fault"
        self._held = [name for name in ("adam", "sgd") if label.get(name, {}).get("learns", 0) >= MOST]
        self._cures: dict[tuple[str, ...], Cure] = {}
        self._treated: dict[tuple[str, ...], Subject | str] = {}

    @cached_property
    def evidence(self) -> Evidence:
        """What was measured on the model under the seed that was examined: treatments read it."""
        return _looked_at(self.subject)

    def treated(self, names: Sequence[str]) -> Subject | str:
        """Return the model under the seed that was examined, treated; or why one treatment has nothing to change.

        What changes the training goes by what is measured on the network as the others have changed it.
        """
        key = tuple(names)
        if key not in self._treated:
            self._treated[key] = self._changed(key)
        return self._treated[key]

    def applies(self, names: Sequence[str]) -> bool:
        """Whether all of these treatments have something to change."""
        return isinstance(self.treated(names), Subject)

    def cure(self, names: Sequence[str], *, look: bool = False) -> Cure:
        """Return whether these treatments cure; with `look`, also what the service says of the treated model."""
        key = tuple(names)
        if key not in self._cures:
            self._cures[key] = self._safely(key, look=look)
        return self._cures[key]

    def _safely(self, names: tuple[str, ...], *, look: bool) -> Cure:
        """Return whether these treatments cure; a treated model that cannot be run is not cured."""
        try:
            return self._cure(names, look=look)
        except Exception as error:  # noqa: BLE001  what breaks is a result
            return Cure(names, cured=False, note=f"{type(error).__name__}: {error}"[:200])

    def _changed(self, names: tuple[str, ...]) -> Subject | str:
        network = [name for name in names if not of_settings(name)]
        changed, reasons = advised(self.subject, self.evidence, network)
        settings = [name for name in names if of_settings(name)]
        if settings and not reasons:
            evidence = _looked_at(changed) if network else self.evidence
            changed, reasons = advised(changed, evidence, settings)
        return reasons[0] if reasons else changed

    def _cure(self, names: tuple[str, ...], *, look: bool) -> Cure:
        known = self.treated(names)
        if not isinstance(known, Subject):
            return Cure(names, cured=False, note=known)
        seeds = self._seeds(names, known, look=look)
        ratios = tuple(each.ratios for each in seeds)
        learnt = sum(each.learnt for each in seeds) >= ENOUGH
        if not (look or (learnt and self.certain)):
            return Cure(names, learnt, ratios=ratios)
        findings = diagnose([_looked_at(self._fresh(names, known, 0))])[0]
        left = self._left(findings)
        every = sum(each.every for each in seeds) >= ENOUGH if look else None
        return Cure(names, learnt and not (self.certain and left), "", ratios, every, verdict(findings).value, left)

    def _seeds(self, names: tuple[str, ...], known: Subject, *, look: bool) -> list[Reached]:
        """Return what fresh draws reach, until as many as it takes agree."""
        ends, seeds = time.process_time() + (LONG_S if look else SHORT_S), list[Reached]()
        for draw in range(SEEDS):
            fresh = self._fresh(names, known, draw)
            seeds.append(reached(fresh, draw, held=self._held, ends=ends, every=look))
            learnt = sum(each.learnt for each in seeds)
            if max(learnt, len(seeds) - learnt) >= ENOUGH:
                break
        return seeds

    def _fresh(self, names: tuple[str, ...], known: Subject, draw: int) -> Subject:
        """Return the treated model under a fresh seed, to be trained as it was found for the one examined.

        A treatment that has nothing to change in this draw leaves it as it is.
        """
        subject = self.subject.redrawn(self.subject.seed + FRESH + APART * draw)
        network = [name for name in names if not of_settings(name)]
        return advised(subject, self.evidence, network)[0].replace(settings=known.settings)

    def _left(self, findings: Sequence[Finding]) -> tuple[str, ...]:
        weighty = {finding.symptom.value for finding in findings if finding.severity is not Severity.INFO}
        return tuple(sorted(weighty & self._case.symptoms))


def _told(ratio: float) -> float | str:
    return float(f"{ratio:.3g}") if math.isfinite(ratio) else str(ratio)


def _looked_at(subject: Subject) -> Evidence:
    """Return what the service measures on a subject."""
    return measured(subject, Ask(STEPS, both=True, goal=GOAL, ranged=True), Deadline.after(_LIMIT_S))
