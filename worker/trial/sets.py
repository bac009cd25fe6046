"""Sets of treatments, where no single one cures: pairs first, then the closest set enlarged by one at a time."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from service.contract.words import TreatmentKind
from worker.budget import OutOfTime
from worker.treatments import Inapplicable, Treatment, treatments
from worker.trial.bench import SETTINGS, Tried
from worker.trial.clinic import Clinic, Verified

LARGEST: Final = 4
"""Most treatments of a set."""
MOST: Final = 12
"""Most sets of one size that are looked at."""
_SEVERAL: Final = frozenset({TreatmentKind.DATA, TreatmentKind.LOSS, TreatmentKind.INIT, TreatmentKind.PRECISION})
"""Kinds of which a set may hold several."""


def treat(clinic: Clinic) -> None:
    """Try everything that may help: each treatment alone, then sets, as far as the time goes."""
    try:
        while clinic.screen():
            clinic.try_singles()
            clinic.settle()
        try_sets(clinic)
    except OutOfTime:
        return


def try_sets(clinic: Clinic) -> None:
    """Look for the smallest set that cures, and leave out of it what it cures without."""
    for size in range(2, LARGEST + 1):
        for chosen in _sets(clinic, size):
            if clinic.prescribed is not None:
                return
            clinic.tell(0.8 + 0.2 * (size - 2) / LARGEST, f"trying {' with '.join(each.name for each in chosen)}")
            found = _tried(clinic, chosen)
            if found is not None and clinic.cures(found):
                clinic.consider(_smallest(clinic, found))


def _smallest(clinic: Clinic, found: Tried) -> Tried:
    """Return what is left of a set that cures; where the time is up, it is prescribed as it stands."""
    try:
        return _reduced(clinic, found)
    except OutOfTime:
        clinic.prescribed = clinic.prescribed or Verified(found)
        raise


def distance(tried: Tried) -> tuple[int, int, int, float]:
    """Return how far treatments are from a cure: errors, findings, then what they cost, then what they gain."""
    return len(tried.after.errors), len(tried.after.codes), tried.cost, -tried.duel.mean


def _sets(clinic: Clinic, size: int) -> Iterator[tuple[Treatment, ...]]:
    """Yield sets of a size: what follows up what came closest, then those that are foretold to leave least."""
    yield from _follow_ups(clinic, size)
    singles = [each for each in clinic.screened.values() if each.cures or clinic.only_training_shows(each)]
    if size == 2:  # noqa: PLR2004  pairs
        parts = list(combinations(singles, 2))
    else:
        base = min((each for each in clinic.sets if len(each.names) == size - 1), key=distance, default=None)
        parts = [(base, each) for each in singles if not each.names <= base.names] if base is not None else []
    fitting = [pair for pair in parts if _mixes((*pair[0].treatments, *pair[1].treatments))]
    fitting.sort(key=lambda pair: _foretold(clinic, *pair))
    yield from ((*one.treatments, *two.treatments) for one, two in fitting[:MOST])


def _follow_ups(clinic: Clinic, size: int) -> Iterator[tuple[Treatment, ...]]:
    """Yield what came closest with each treatment for what it brought to light, where that is all that is left."""
    known = [each for each in (*clinic.tried.values(), *clinic.sets) if each.trained and len(each.names) == size - 1]
    base = min((each for each in known if each.cures >= clinic.bench.before.codes), key=distance, default=None)
    if base is None:
        return
    shown = {finding.symptom for finding in base.after.findings if finding.code in base.after.codes}
    fitting = [each for each in treatments.values() if each.symptoms & shown and each.name not in base.names]
    for treatment in sorted(fitting, key=lambda each: (each.cost, each.name))[:MOST]:
        if _mixes((*base.treatments, treatment)):
            clinic.follow(treatment)
            yield (*base.treatments, treatment)


def _foretold(clinic: Clinic, one: Tried, two: Tried) -> tuple[int, bool, int, str]:
    """Return what orders sets: the findings that neither part cures or that one causes, what is lost, the cost."""
    left = (clinic.bench.seen.codes - one.cures - two.cures) | one.causes | two.causes
    chosen = (*one.treatments, *two.treatments)
    return len(left), clinic.loses(chosen), one.cost + two.cost, " ".join(sorted(one.names | two.names))


def _mixes(chosen: Sequence[Treatment]) -> bool:
    """Whether treatments do not undo each other: one activation, one optimizer, one norm, one draw of the weights."""
    kinds = [each.kind for each in chosen if each.kind not in _SEVERAL or each.retrains]
    return len(set(kinds)) == len(kinds)


def _tried(clinic: Clinic, chosen: Sequence[Treatment]) -> Tried | None:
    """Screen a set and train it, unless a probe shows that it leaves something; the network is changed first."""
    if clinic.bench.out_of_time:
        raise OutOfTime
    ordered = tuple(sorted(chosen, key=lambda each: (each.kind in SETTINGS, -each.cost, each.name)))
    found = clinic.safely(clinic.bench.screen, ordered)
    if isinstance(found, Tried) and not found.left:
        found = clinic.trained(found)
    if isinstance(found, Inapplicable):
        return None
    clinic.sets.append(found)
    return found


def _reduced(clinic: Clinic, tried: Tried) -> Tried:
    """Leave out what a set cures without, the costliest first; the parts of a pair were tried alone."""
    if len(tried.treatments) > 2:  # noqa: PLR2004
        for left_out in sorted(tried.treatments, key=lambda each: -each.cost):
            fewer = _tried(clinic, [each for each in tried.treatments if each is not left_out])
            if fewer is not None and clinic.cures(fewer):
                return _reduced(clinic, fewer)
    return tried
