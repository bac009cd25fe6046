"""What a trial makes of its treatments."""

import math
from typing import Final

from service.contract.words import RemedyStatus, TreatmentKind, Verdict
from worker.probe.evidence import Evidence
from worker.probe.training import HALF
from worker.training import LUCK
from worker.trial.bench import Tried
from worker.trial.controls import Control
from worker.trial.duel import WORTH, Duel
from worker.trial.examined import Examined, supposing

_LOWEST: Final = 1e-12
_HIGHEST: Final = 1e4
"""Shares of the best constant's loss beyond which a loss counts as that."""


def judged(tried: Tried, control: Control | None = None) -> RemedyStatus:
    """Return what a trial makes of its treatments.

    `harmful`: it adds an error, a training trial that fails among them.  `works`: it cures a finding, causes none and
    trains: better, surely, where the subject did not learn; not surely worse where it cures another error; and not
    worse on average where it cures a warning, which the subject could have lived with.  A copy that the full trial
    teaches its batch may be slower at first: what twenty steps show can turn round.  What it gains must be more
    than any change gains (`control`), unless it cures everything.  Everything else is `ineffective`.
    """
    if _adds_an_error(tried):
        return RemedyStatus.HARMFUL
    works = tried.trained and tried.cures and not tried.causes and _trains(tried)
    beaten = not cured(tried) and _idle(tried.duel, control)
    return RemedyStatus.WORKS if works and not beaten else RemedyStatus.INEFFECTIVE


def cured(tried: Tried) -> bool:
    """Whether nothing is left to warn of."""
    return tried.trained and tried.after.verdict is Verdict.PASS


def cures(tried: Tried, control: Control | None = None) -> bool:
    """Whether the treatments are fit to be prescribed."""
    return cured(tried) and judged(tried, control) is RemedyStatus.WORKS


def _trains(tried: Tried) -> bool:
    duel, (low, high) = tried.duel, tried.duel.bounds
    if any(each.kind is TreatmentKind.LOSS for each in tried.treatments):
        return True  # losses of two kinds do not compare; that the copy learns under its own the trial has shown
    if any(map(_stalled, tried.before.evidences)):
        return low > WORTH or _further(tried) > WORTH
    likely = high if tried.before.errors - tried.after.errors else duel.mean
    return not duel.gains or math.isnan(likely) or likely >= -WORTH or all(map(_beats, tried.after.evidences))


def _beats(evidence: Evidence) -> bool:
    """Whether the full trial got the loss further below the best constant's than luck does."""
    return _reached(evidence) < math.log(LUCK)


def _stalled(evidence: Evidence) -> bool:
    return evidence.training is not None and evidence.training.judged and not evidence.training.passed


def _further(tried: Tried) -> float:
    """Return how much lower the full trial got the log of the loss, by the best constant's, in the worst draw."""
    pairs = zip(map(_reached, tried.before.evidences), map(_reached, tried.after.evidences), strict=False)
    return min((before - after for before, after in pairs), default=0.0)


def _reached(evidence: Evidence) -> float:
    best = evidence.training.best if evidence.training else None
    share = best.lowest / evidence.loss.chance if best is not None and evidence.loss.chance > 0 else math.inf
    return math.log(min(max(share, _LOWEST), _HIGHEST))


def learns(tried: Tried) -> bool:
    """Whether the full trial got the loss of every copy below half of the best constant's."""
    return tried.trained and all(_reached(evidence) <= math.log(HALF) for evidence in tried.after.evidences)


def _idle(duel: Duel, control: Control | None) -> bool:
    """Whether a random change gains something, and as much."""
    return control is not None and control.duel.bounds[0] > WORTH and control.duel.mean > duel.mean


def _adds_an_error(tried: Tried) -> bool:
    """Whether an error is new, or a warning became one.

    What weighs more only because training fails as it did does not count, nor what numbers that are not finite hid.
    """
    before, after = tried.before, tried.after
    added = (after.errors - before.raised) | (after.errors & (before.codes - before.errors))
    if any(evidence.nonfinite is not None for evidence in before.evidences):
        return False
    if any(evidence.failed for evidence in before.evidences):
        added &= Examined.of((), [supposing(evidence, learns=True) for evidence in after.evidences]).errors
    return bool(added)
