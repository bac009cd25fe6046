"""What a trial did, as the report tells it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

from service.contract import report
from service.contract.report import Prescription, Remedy, Trial
from service.contract.words import RemedyStatus, Verdict
from worker.answers import several
from worker.course import Run
from worker.passes import Passes
from worker.probe.evidence import Evidence
from worker.treatments import Treatment
from worker.trial.bench import FRESH, Tried
from worker.trial.clinic import Clinic, Verified
from worker.trial.duel import STEPS, WORTH, Duel
from worker.trial.examined import Examined, figures
from worker.trial.sets import distance

_ALTERNATIVES: Final = 3
_SAME: Final = 0.01
"""Share by which the best constant's losses differ at most where two losses are of one kind."""
_ALIKE: Final = 1.0
"""Difference of gains that is not worth telling."""
_SURE: Final = 1e-3
"""p-values below this are told as a bound."""


def remedies(clinic: Clinic) -> tuple[Remedy, ...]:
    """Return every treatment that was considered, what helps most first."""
    told = [_remedy(clinic, treatment) for treatment in clinic.candidates]
    order = list(RemedyStatus)
    return tuple(sorted(told, key=lambda remedy: (order.index(remedy.status), remedy.cost)))


def prescription(clinic: Clinic, *, handed_back: bool) -> Prescription | None:
    """Return what is prescribed; `handed_back` where the treated model can be had."""
    if clinic.prescribed is None:
        return None
    verified = clinic.prescribed
    return _prescription(
        clinic,
        verified.tried,
        after=verified.fresh or verified.tried.after,
        explanation=explained(clinic, verified.tried, verified),
        verified_seeds=len(verified.fresh.evidences) if verified.fresh else 0,
        second_batch=None if verified.second is None else verified.second.verdict is Verdict.PASS,
        alternatives=_alternatives(clinic),
        treated_model=handed_back,
    )


def partial(clinic: Clinic) -> Prescription | None:
    """Return what came closest, where nothing cures."""
    tried = closest(clinic)
    if clinic.prescribed is not None or tried is None:
        return None
    said = explained(clinic, tried)
    return _prescription(clinic, tried, after=tried.after, explanation=said, treated_model=False)


def closest(clinic: Clinic) -> Tried | None:
    """Return the trained set that cures something, adds no error, and leaves least."""
    known = [each for each in (*clinic.tried.values(), *clinic.sets) if each.trained and each.cures]
    return min((each for each in known if not each.after.errors - each.before.raised), key=distance, default=None)


def summarised(tried: Tried, control: report.Control | None = None) -> Trial:
    """Return what a trial measured."""
    duel, before, after = tried.duel, tried.before.evidences[0], tried.after.evidences[0]
    if not tried.trained:  # how training went was supposed
        before, after = replace(before, training=None), replace(after, training=None)
    return Trial(
        before=figures(before),
        after=figures(after) | ({"log_loss_gain": duel.mean} if duel.gains else {}),
        seeds=duel.seeds or len(tried.after.evidences),
        steps=STEPS if duel.gains else _steps(after),
        p_value=duel.p_value if abs(duel.mean) >= WORTH else None,
        bounds=duel.bounds if len(duel.gains) > 1 else None,
        wins=duel.wins if duel.gains else None,
        control=control,
        passes=_passes(tried.passes),
    )


def explained(clinic: Clinic, tried: Tried, verified: Verified | None = None) -> str:
    """Say in two or three sentences, with their numbers, what treatments did."""
    said = [_numbers(tried, verified), paired(tried.duel), _confirmed(clinic, tried, verified)]
    left = sorted(clinic.bench.before.codes - tried.cures)
    if verified is None and left:
        said.append(f"It leaves {', '.join(left)}.")
    return " ".join(sentence for sentence in said if sentence)


def _numbers(tried: Tried, verified: Verified | None) -> str:
    """Return the gain and the loss, before and after."""
    treated = verified.fresh.evidences if verified and verified.fresh else tried.after.evidences
    before, after = _gain(tried.before.evidences), _gain(treated)
    parts = []
    if before is not None and after is not None and abs(before - after) > _ALIKE:
        parts.append(f"the gradient's gain (ln of its square) {before:+.1f} → {after:+.1f}")
    reached = _lowest(treated)
    if reached is not None:
        steps, chance = max(_steps(evidence) for evidence in treated), treated[0].loss.chance
        comparable = math.isclose(tried.before.evidences[0].loss.chance, chance, rel_tol=_SAME)
        since = _since(tried.before.evidences) if comparable else ""
        costs = f"(the best constant prediction costs {chance:.3g})"
        parts.append(f"the loss within {several(steps, 'step')} {since}{reached:.3g} {costs}")
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if parts else ""


def _since(evidences: Sequence[Evidence]) -> str:
    """Return what training came to before."""
    runs = [run for each in evidences if (run := _meant(each)) is not None]
    if 2 * sum(run.diverged for run in runs) > len(runs):
        return "diverges → "
    lowest = _lowest(evidences)
    return "" if lowest is None else f"{lowest:.3g} → "


def paired(duel: Duel) -> str:
    """Say who ended lower in paired runs, by how much and how surely; "" of runs that are all the same."""
    if not duel.gains or len(set(duel.gains)) == 1:
        return ""
    if abs(duel.mean) < WORTH:
        pairs = several(len(duel.gains), "paired run")
        return f"In {pairs} of {STEPS} steps the treated copy ended as low as the untreated one, within {WORTH:.0%}."
    p = duel.p_value
    sure = "" if p is None else f" (p {'<' if p < _SURE else '='} {max(p, _SURE):.1g})"
    factor = f"{'smaller' if duel.mean >= 0 else 'larger'} by a factor of {math.exp(min(abs(duel.mean), 50.0)):.3g}"
    return (
        f"In paired runs of {STEPS} steps the treated copy ended lower in {duel.wins} of {len(duel.gains)} seeds, "
        f"its loss {factor}{sure}."
    )


def _confirmed(clinic: Clinic, tried: Tried, verified: Verified | None) -> str:
    if verified is None:
        refuted = tried.names in clinic.refuted
        return "It did not hold in every draw, under fresh seeds or on the second batch." if refuted else ""
    if verified.fresh is None:
        return "There was no time to confirm it under fresh seeds."
    also = " and on the second batch" if verified.second is not None else ""
    first = clinic.bench.before.subjects[0].seed + FRESH
    seeds = several(len(verified.fresh.evidences), "fresh seed")
    return f"It held under {seeds} (from {first}){also}: nothing was left to warn of."


def _remedy(clinic: Clinic, treatment: Treatment) -> Remedy:
    name = treatment.name
    tried, before = clinic.tried.get(name), clinic.bench.before
    cures = tried.cures & before.codes if tried else frozenset[str]()
    control = clinic.control(tried) if tried else None
    told = None
    if control is not None:
        told = report.Control(remedies=control.treatments, log_loss_gain=control.duel.mean)
    return Remedy(
        id=name,
        treatment=name,
        kind=treatment.kind,
        title=treatment.title,
        rationale=treatment.sections.get("Why it helps", ""),
        changes=tried.changes if tried else (),
        status=clinic.status(name),
        note=clinic.note(name),
        cost=treatment.cost,
        hints=treatment.hints.filled(_values(clinic, name, tried)) if tried else {},
        cures=tuple(sorted(cures)),
        leaves=tuple(sorted(before.codes - cures)) if tried else (),
        causes=tuple(sorted(tried.causes - before.codes)) if tried else (),
        trial=summarised(tried, told if tried.duel.gains else None) if tried else None,
        retrains=treatment.retrains,
    )


def _values(clinic: Clinic, name: str, tried: Tried) -> Mapping[str, str]:
    """Return what fills the blanks of a remedy's hints: as part of the prescription, what that came to."""
    together = clinic.prescribed.tried if clinic.prescribed else tried
    return together.values if name in together.names else tried.values


def _prescription(clinic: Clinic, tried: Tried, *, after: Examined, **said: object) -> Prescription:
    control = clinic.control(tried)
    told = report.Control(remedies=control.treatments, log_loss_gain=control.duel.mean) if control else None
    return Prescription(
        remedies=tuple(treatment.name for treatment in tried.treatments),
        title=_joined([treatment.title for treatment in tried.treatments]),
        changes=tried.changes,
        trial=summarised(replace(tried, after=after), told),
        leaves=tuple(sorted(clinic.bench.before.codes - tried.cures)),
        **said,
    )


def _alternatives(clinic: Clinic) -> tuple[tuple[str, ...], ...]:
    """Return other sets that cured in the same trials, the least costly first."""
    chosen = clinic.prescribed.tried.names if clinic.prescribed else frozenset[str]()
    found = [
        each
        for each in (*clinic.tried.values(), *clinic.sets)
        if each.names not in {chosen, *clinic.refuted} and clinic.cures(each)
    ]
    found.sort(key=lambda each: (clinic.loses(each.treatments), each.cost, -each.duel.mean))
    return tuple(tuple(treatment.name for treatment in each.treatments) for each in found[:_ALTERNATIVES])


def _joined(titles: Sequence[str]) -> str:
    """Return titles as one sentence."""
    first, *others = titles
    return " and ".join([first, *(title[0].lower() + title[1:] for title in others)])


def _gain(evidences: Sequence[Evidence]) -> float | None:
    found = [evidence.gain.total for evidence in evidences if evidence.gain is not None]
    return median(found) if found and all(map(math.isfinite, found)) else None


def _lowest(evidences: Sequence[Evidence]) -> float | None:
    runs = [_meant(evidence) for evidence in evidences]
    found = [run.lowest for run in runs if run is not None and math.isfinite(run.lowest)]
    return median(found) if found else None


def _meant(evidence: Evidence) -> Run | None:
    """Return the run as it was declared, else the best."""
    training = evidence.training
    return (training.declared or training.best) if training else None


def _steps(evidence: Evidence) -> int:
    return evidence.training.steps if evidence.training and evidence.training.runs else 0


def _passes(passes: Passes) -> report.Passes:
    return report.Passes(forward=passes.forward, backward=passes.backward, steps=passes.steps)
