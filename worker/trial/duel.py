"""The duel: a treated copy and the untreated subject train in pairs, under the same draws and orders of samples.

Each side takes the best of three rates, since one fixed rate credits a treatment for a better step size, or blames it
for a worse one (measured: up to 71% of harmful changes were called helpful at a fixed rate, none at the best of three).
What counts is the logarithm of the loss over the second half of twenty steps, by the best constant prediction's, so
that another loss or another scale of targets is no gain by itself.  Three pairs decide where they are clear, else five.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Final

from scipy import stats

from worker.budget import BOTH_WAYS, Deadline
from worker.optimizers import Optimizer
from worker.probe.training import declared_optimizer, usual_optimizer
from worker.subject import Subject
from worker.training import Trainer
from worker.trial.alike import alike, worthwhile
from worker.trial.batched import Start, trained_together

PAIRS: Final = 5
"""Seeds of a duel."""
FIRST: Final = 3
"""Seeds after which a clear duel ends."""
CLEAR: Final = 0.3
"""Lower bound of the gain from which three pairs are enough."""
STEPS: Final = 20
RATES: Final = (0.25, 1.0, 4.0)
"""Multiples of the usual rate that each side may choose from."""
WORTH: Final = 0.05
"""Gain in log loss below which a difference is none."""
_WORST: Final = 1e4
_BEST: Final = 1e-12


@dataclass(frozen=True)
class Duel:
    """How much lower the treated copy's log loss ended, seed by seed."""

    gains: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The mean gain; 0 where there was no duel."""
        return mean(self.gains) if self.gains else 0.0

    @property
    def seeds(self) -> int:
        """Seeds that it was run under; one where all came to the same, for that is one run told five times."""
        return 1 if len(set(self.gains)) == 1 else len(self.gains)

    @property
    def wins(self) -> int:
        """Seeds under which the treated copy ended lower by more than nothing."""
        return min(sum(gain > WORTH for gain in self.gains), self.seeds)

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
        middle, error = self.mean, stats.sem(self.gains) * stats.t.ppf(0.95, len(self.gains) - 1)
        return float(middle - error), float(middle + error)

    @property
    def settled(self) -> bool:
        """Whether further seeds would not change what is said."""
        low, high = self.bounds
        clear = len(self.gains) >= FIRST and (low > CLEAR or high < 0 or len(set(self.gains)) == 1)
        return clear or len(self.gains) >= PAIRS


def rounds(subject: Subject, rates: int, deadline: Deadline) -> list[tuple[int, ...]]:
    """Return the pairs of a duel, those of its first round trained at once where that is faster and time suffices."""
    together = worthwhile(subject, FIRST * rates) and affordable(subject, 2 * FIRST * rates, deadline)
    alone: list[tuple[int, ...]] = [(pair,) for pair in range(PAIRS)]
    return [tuple(range(FIRST)), *alone[FIRST:]] if together else alone


def log_losses(subjects: Mapping[int, Subject], rates: Sequence[float], deadline: Deadline) -> dict[int, float]:
    """Return `log_loss` of each seed's subject; all of them are trained together where that is faster.

    Time that runs out by plan cuts runs off one after another, so these are then trained in that way.
    """
    if len(subjects) >= FIRST and _stackable(list(subjects.values()), len(rates), deadline):
        found = together(subjects, rates, deadline)
        if found is not None:
            return found
    return {seed: log_loss(subject, seed, rates, deadline) for seed, subject in subjects.items()}


def together(subjects: Mapping[int, Subject], rates: Sequence[float], deadline: Deadline) -> dict[int, float] | None:
    """Return `log_loss` of subjects that are alike, trained together; None where torch cannot do that."""
    starts = [Start(each, _at(each, rate), seed) for rate in rates for seed, each in subjects.items()]
    losses = trained_together(starts, STEPS, deadline)
    if losses is None:
        return None
    runs = {seed: losses[place :: len(subjects)] for place, seed in enumerate(subjects)}
    return {seed: _lowest(subjects[seed], own) for seed, own in runs.items()}


def log_loss(subject: Subject, seed: int, rates: Sequence[float], deadline: Deadline) -> float:
    """Return ln of a short run's mean loss by the best constant's, at the best of these multiples of its rate."""
    trainer = Trainer(subject)
    return _lowest(subject, [trainer.run(_at(subject, rate), STEPS, seed, deadline).losses for rate in rates])


def affordable(subject: Subject, runs: int, deadline: Deadline) -> bool:
    """Whether the plan has time for all the steps of so many runs."""
    return deadline.left > runs * STEPS * BOTH_WAYS * subject.pass_s


def _stackable(subjects: Sequence[Subject], rates: int, deadline: Deadline) -> bool:
    first, runs = subjects[0], len(subjects) * rates
    pays = worthwhile(first, runs) and affordable(first, runs, deadline)
    return pays and all(alike(first, other) for other in subjects[1:])


def _lowest(subject: Subject, runs: Sequence[Sequence[float]]) -> float:
    chance = subject.loss.chance(subject.target)
    unit = chance if chance > 0 else 1.0
    return min(math.log(min(max(_second_half(losses) / unit, _BEST), _WORST)) for losses in runs)


def _at(subject: Subject, rate: float) -> Optimizer:
    usual = usual_optimizer(subject)
    return declared_optimizer(subject, usual.name, usual.learning_rate * rate)


def _second_half(losses: Sequence[float]) -> float:
    half = losses[len(losses) // 2 :]
    finite = len(losses) == STEPS and all(map(math.isfinite, half))
    return mean(half) if finite else math.inf
