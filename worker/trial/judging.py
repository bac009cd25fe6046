"""What a trial makes of its treatments."""

import math

from service.contract.words import RemedyStatus, Verdict
from worker.trial.bench import Tried
from worker.trial.controls import Control
from worker.trial.duel import WORTH, Duel
from worker.trial.examined import Examined, supposing


def judged(tried: Tried, control: Control | None = None) -> RemedyStatus:
    """Return what a trial makes of its treatments.

    `harmful`: it adds an error, a training trial that fails among them.  `works`: it cures a finding, causes none and
    does not train worse: surely not where it cures an error, and in all likelihood not where it cures a warning, which
    the subject could have lived with; and what it gains is more than any change gains (`control`), unless it cures
    everything.  Everything else is `ineffective`.
    """
    if _adds_an_error(tried):
        return RemedyStatus.HARMFUL
    before, after = tried.before, tried.after
    low, high = tried.duel.bounds
    worse = high if before.errors - after.errors else low
    trains = math.isnan(worse) or worse >= -WORTH
    works = (
        tried.trained
        and tried.cures
        and not tried.causes
        and trains
        and (cured(tried) or not _idle(tried.duel, control))
    )
    return RemedyStatus.WORKS if works else RemedyStatus.INEFFECTIVE


def cured(tried: Tried) -> bool:
    """Whether nothing is left to warn of."""
    return tried.trained and tried.after.verdict is Verdict.PASS


def cures(tried: Tried, control: Control | None = None) -> bool:
    """Whether the treatments are fit to be prescribed."""
    return cured(tried) and judged(tried, control) is RemedyStatus.WORKS


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
