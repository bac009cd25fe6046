"""The trial: treatments on copies, measured as the subject was, with the same seeds.

A remedy's `cures`, `leaves` and `causes` are set differences of findings.  What it is worth is a paired t-test of
the loss that short training reaches: both arms take the same draws and the same order of samples, and each its best
of three rates, since one fixed rate credits a treatment for a better step size, or blames it for a worse one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import mean
from typing import Final

from scipy import stats

from service.contract.report import Finding, Trial
from service.contract.words import Severity, TreatmentKind, Verdict
from worker.budget import PROBE, Deadline, OutOfTime
from worker.diagnose import diagnose, verdict
from worker.optimizers import Optimizer
from worker.probe.evidence import Evidence
from worker.probe.measure import probe
from worker.probe.thorough import planned_s
from worker.probe.training import LEARNT, Ask, declared_optimizer, try_training, usual_optimizer
from worker.subject import Subject
from worker.training import Trainer
from worker.treatments import Change, Inapplicable, Outcome, Treatment

PAIRS: Final = 5
"""Seeds of the paired trial."""
STEPS: Final = 20
RATES: Final = (0.25, 1.0, 4.0)
"""Multiples of the usual rate that each arm may choose from."""
RISK: Final = 6.0
"""|G| from which the trial also asks whether plain SGD can train (Schoenholz et al. 2017: depth over six depth
scales).
"""
WORTH: Final = 0.05
"""Gain in log loss below which a difference is none."""
_WORST_LOSS: Final = 1e4
_SET_THE_RATE: Final = frozenset({TreatmentKind.LEARNING_RATE, TreatmentKind.OPTIMIZER})
_ONLY_TRAINING_SHOWS: Final = frozenset({TreatmentKind.CLIPPING, TreatmentKind.LEARNING_RATE, TreatmentKind.OPTIMIZER})


@dataclass(frozen=True)
class Examined:
    """Subjects, one per seed, with what was measured on them."""

    subjects: tuple[Subject, ...]
    """Empty for treated copies, which are made again where they are needed."""
    evidences: tuple[Evidence, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """What the findings say together."""
        return verdict(self.findings)

    @cached_property
    def codes(self) -> frozenset[str]:
        """The rules that warn or reject."""
        return frozenset(finding.code for finding in self.findings if finding.severity is not Severity.INFO)

    @cached_property
    def errors(self) -> frozenset[str]:
        """The rules that reject."""
        return frozenset(finding.code for finding in self.findings if finding.severity is Severity.ERROR)


@dataclass(frozen=True)
class Tried:
    """One or more treatments applied together, and what they did."""

    treatments: tuple[Treatment, ...]
    changes: tuple[str, ...]
    after: Examined
    gains: tuple[float, ...] = field(default=())
    """Paired gains in log loss, one per seed; empty where the re-probe decided alone."""

    @property
    def cost(self) -> int:
        """What the changes ask of the owner."""
        return sum(treatment.cost for treatment in self.treatments)

    @property
    def p_value(self) -> float | None:
        """One-sided p of the gains being no more than nothing."""
        if len(set(self.gains)) < 2:  # noqa: PLR2004  a test needs two; equal ones are one run told five times
            return None
        return float(stats.ttest_1samp(self.gains, 0, alternative="greater").pvalue)

    @property
    def bounds(self) -> tuple[float, float]:
        """The one-sided 95% bounds of the mean gain, below and above."""
        if len(self.gains) < 2:  # noqa: PLR2004
            return (math.nan, math.nan)
        middle, error = mean(self.gains), stats.sem(self.gains) * stats.t.ppf(0.95, len(self.gains) - 1)
        return float(middle - error), float(middle + error)


class Bench:
    """A subject under treatment: everything that is tried is measured against the same untreated arm."""

    def __init__(self, before: Examined, steps: int, deadline: Deadline) -> None:
        """Compare with `before`; `steps` is the length of the full training trial."""
        self.before = before
        self._steps = steps
        self._deadline = deadline

    @property
    def out_of_time(self) -> bool:
        """Whether there is no time left for another probe of each seed."""
        return self._deadline.left < PROBE * sum(subject.pass_s for subject in self.before.subjects)

    def attempt(self, treatments: Sequence[Treatment]) -> Tried | None:
        """Apply the treatments one behind the other and measure; None where one has nothing to change."""
        changes: tuple[str, ...] = ()
        subjects = []
        for seed, subject in enumerate(self._redraws()):
            applied = applied_to(treatments, subject, self.before.evidences[min(seed, len(self.before.evidences) - 1)])
            if isinstance(applied, Inapplicable):
                return None
            subjects.append(applied.subject)
            changes = changes or applied.changes
        after = self._examined(subjects)
        tried = Tried(tuple(treatments), changes, replace(after, subjects=()))  # a copy may weigh as much as the model
        subjects.clear()
        return replace(tried, gains=tuple(self._gains(treatments))) if self._worth_training(tried) else tried

    def confirmed(self, tried: Tried) -> bool:
        """Whether the treatments also pass under seeds that nothing was chosen by."""
        fresh = [subject.redrawn(subject.seed + 1000) for subject in self._redraws()]
        applied = [applied_to(tried.treatments, subject, self.before.evidences[0]) for subject in fresh]
        subjects = [change.subject for change in applied if isinstance(change, Change)]
        return len(subjects) == len(fresh) and self._examined(subjects).verdict is not Verdict.FAIL

    def _redraws(self) -> tuple[Subject, ...]:
        return self.before.subjects

    def _examined(self, subjects: Sequence[Subject]) -> Examined:
        evidences = tuple(self._evidence(subject) for subject in subjects)
        return Examined(tuple(subjects), evidences, diagnose(evidences)[0])

    def _evidence(self, subject: Subject) -> Evidence:
        """Measure a copy.  OutOfTime where a probe would end after the time limit."""
        if self._deadline.meter.too_late_for("probe"):
            raise OutOfTime
        return measured(subject, Ask(self._steps, goal=LEARNT), self._deadline.share(0.25))

    def _worth_training(self, tried: Tried) -> bool:
        """Whether something improved, or only training can show whether it did."""
        improved = bool(self.before.codes - tried.after.codes) or bool(self.before.errors - tried.after.errors)
        return improved or any(each.kind in _ONLY_TRAINING_SHOWS for each in tried.treatments)

    def _gains(self, treatments: Sequence[Treatment]) -> Iterator[float]:
        """Yield how much lower the treated arm's log loss ends, seed by seed.

        Each arm takes its best rate, but where the rate is what is treated: there both take the rate that they have.
        """
        rates = (1.0,) if any(each.kind in _SET_THE_RATE for each in treatments) else RATES
        for pair in range(PAIRS):
            base, evidence = self._pair(pair)
            treated = applied_to(treatments, base, evidence)
            if isinstance(treated, Inapplicable) or self._deadline.passed:
                return
            yield self._untreated(pair, rates) - log_loss(treated.subject, pair, rates, self._deadline)

    def _pair(self, pair: int) -> tuple[Subject, Evidence]:
        index = pair % len(self.before.subjects)
        return self.before.subjects[index].redrawn(self.before.subjects[0].seed + pair), self.before.evidences[index]

    def _untreated(self, pair: int, rates: tuple[float, ...]) -> float:
        if (pair, rates) not in self._arms:
            self._arms[pair, rates] = log_loss(self._pair(pair)[0], pair, rates, self._deadline)
        return self._arms[pair, rates]

    @cached_property
    def _arms(self) -> dict[tuple[int, tuple[float, ...]], float]:
        return {}


def measured(subject: Subject, ask: Ask, deadline: Deadline) -> Evidence:
    """Probe a subject and, where its numbers are finite, train it; see `Ask` for how thoroughly."""
    with deadline.meter.timed("probe", PROBE * subject.pass_s + planned_s(subject, deep=ask.deep, sharp=ask.both)):
        evidence = probe(subject, deep=ask.deep, sharp=ask.both)
    if evidence.nonfinite is not None:
        return evidence
    at_risk = evidence.gain is not None and abs(evidence.gain.rate) >= RISK
    ask = replace(ask, both=ask.both and at_risk)
    return replace(evidence, training=try_training(subject, evidence.loss, ask, deadline))


def log_loss(subject: Subject, seed: int, rates: tuple[float, ...], deadline: Deadline) -> float:
    """Return ln of the mean loss over the second half of a short run, at the best of these multiples of its rate."""
    trainer, usual = Trainer(subject), usual_optimizer(subject)
    ends = (trainer.run(_at(subject, usual, rate), STEPS, seed, deadline).losses for rate in rates)
    return min(math.log(min(max(_second_half(losses), 1e-12), _WORST_LOSS)) for losses in ends)


def summarised(before: Examined, tried: Tried) -> Trial:
    """Return the trial as the report tells it."""
    return Trial(
        before=figures(before.evidences[0]),
        after=figures(tried.after.evidences[0]) | ({"log_loss_gain": mean(tried.gains)} if tried.gains else {}),
        seeds=len(set(tried.gains)) or len(tried.after.evidences),
        steps=STEPS if tried.gains else _steps(tried.after.evidences[0]),
        p_value=tried.p_value,
    )


def _steps(evidence: Evidence) -> int:
    return evidence.training.steps if evidence.training and evidence.training.runs else 0


def figures(evidence: Evidence) -> dict[str, float]:
    """Return the numbers that a reader compares."""
    found: dict[str, float] = {"initial_loss": evidence.loss.value}
    if evidence.gain is not None:
        found["gain"] = evidence.gain.total
    best = evidence.training.best if evidence.training else None
    if best is not None and math.isfinite(best.lowest):
        found["lowest_loss"] = best.lowest
    dead = [place.units.dead for place in evidence.places if place.units is not None]
    saturated = [place.activation.saturated for place in evidence.places if place.activation.saturated is not None]
    if dead:
        found["dead"] = max(dead)
    if saturated:
        found["saturated"] = max(saturated)
    return found


def applied_to(treatments: Sequence[Treatment], subject: Subject, evidence: Evidence) -> Outcome:
    """Return a copy with the treatments applied one behind the other, or why one of them has nothing to change."""
    changes: list[str] = []
    values: dict[str, str] = {}
    for treatment in treatments:
        made = treatment.apply(subject, evidence)
        if isinstance(made, Inapplicable):
            return made
        subject = made.subject
        changes.extend(made.changes)
        values.update(made.values)
    return Change(subject, tuple(changes), values)


def _at(subject: Subject, usual: Optimizer, rate: float) -> Optimizer:
    return declared_optimizer(subject, usual.name, usual.learning_rate * rate)


def _second_half(losses: Sequence[float]) -> float:
    half = losses[len(losses) // 2 :]
    finite = len(losses) == STEPS and all(map(math.isfinite, half))
    return mean(half) if finite else _WORST_LOSS
