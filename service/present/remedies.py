"""How remedies, and what trials found out about them, are put into words, the same in every format for people."""

import math
from collections.abc import Iterator, Sequence

from service.contract.report import Finding, Prescription, Remedy, Report, Trial
from service.contract.words import RemedyStatus, Severity
from service.present.numbers import number, several
from service.present.words import plain

DID = {
    RemedyStatus.RECOMMENDED: "recommended",
    RemedyStatus.WORKS: "works",
    RemedyStatus.INEFFECTIVE: "ineffective",
    RemedyStatus.HARMFUL: "harmful",
    RemedyStatus.NOT_APPLICABLE: "does not apply",
    RemedyStatus.UNTESTED: "not tried",
}
NOTHING_CURES = "Nothing that was tried cures it; what came closest:"
FRAMEWORKS = {"torch": "torch", "keras": "Keras"}
_UNTRIED = (RemedyStatus.NOT_APPLICABLE, RemedyStatus.UNTESTED)
_GOAL = "lowest_loss"
_NAMES = {"gain": "gradient gain (ln)"}
_LINES = 16
_COLUMNS = 120


def prescribed(report: Report) -> Prescription | None:
    """Return what cures, or, where nothing does, what came closest."""
    return report.prescription or report.partial


def together(report: Report, prescription: Prescription) -> Sequence[str]:
    """Return what a prescription changes; reports made before it was told say it remedy by remedy."""
    return prescription.changes or [change for each in members(report, prescription) for change in each.changes]


def members(report: Report, prescription: Prescription | None) -> Sequence[Remedy]:
    """Return the remedies of a prescription, in its order."""
    known = {remedy.id: remedy for remedy in report.remedies}
    return [known[name] for name in prescription.remedies if name in known] if prescription else []


def standing(report: Report, prescription: Prescription) -> Iterator[str]:
    """Yield what its explanation has not said: how a prescription was verified, what it leaves and what it takes."""
    seeds, second = prescription.verified_seeds, prescription.second_batch
    held = [several(seeds, "fresh seed")] if seeds else []
    if second:
        held.append("the second batch")
    if held and "fresh seed" not in prescription.explanation:
        yield f"Verified once more on {' and on '.join(held)}."
    if second is False:
        yield "It does NOT hold on the second batch."
    if any(code not in prescription.explanation for code in prescription.leaves):
        yield f"It leaves {' '.join(prescription.leaves)}."
    if any(remedy.retrains for remedy in members(report, prescription)):
        yield "Weights are drawn anew: train from the start."


def alternatives(report: Report, most: int = 3) -> Iterator[str]:
    """Yield other sets that cured, with what each costs, the least costly first."""
    found = prescribed(report)
    known = {remedy.id: remedy for remedy in report.remedies}
    sets = found.alternatives if found else ()
    for names in sets[:most]:
        titles = [known[name].title if name in known else name for name in names]
        cost = sum(known[name].cost for name in names if name in known)
        yield f"{'; '.join(titles)} (cost {cost})"
    if len(sets) > most:
        yield f"and {several(len(sets) - most, 'more set')}"


def code(remedy: Remedy) -> Iterator[tuple[str, str]]:
    """Yield how to make a remedy's change in each framework: its name, and lines of code."""
    for key, name in FRAMEWORKS.items():
        if lines := remedy.hints.get(key, "").splitlines()[:_LINES]:
            yield name, "\n".join(_coded(line) for line in lines)


def changes(trial: Trial | None, most: int = 3) -> Iterator[tuple[str, str, str]]:
    """Yield what a trial changed: a measure's name, before, after; the goal comes first, then what moved most."""
    if trial is None:
        return
    both = sorted(trial.before.keys() & trial.after.keys())
    moved = sorted(
        (name for name in both if _moved(trial, name)), key=lambda name: (name != _GOAL, -_moved(trial, name))
    )
    for name in (moved or both[:1])[:most]:
        yield _NAMES.get(name, name.replace("_", " ")), number(trial.before[name]), number(trial.after[name])


def effect(remedy: Remedy) -> str:
    """Return what a remedy did to findings, in a few words."""
    said = [(remedy.cures, "cures"), (remedy.leaves, "leaves"), (remedy.causes, "causes")]
    return ", ".join(f"{word} {' '.join(codes)}" for codes, word in said if codes)


def found(remedy: Remedy, most: int) -> str:
    """Return the findings that a remedy cures, or those that it causes, in at most so many letters."""
    codes, word = (remedy.causes, "causes ") if remedy.causes else (remedy.cures, "")
    said = plain(f"{word}{' '.join(codes)}")
    if len(said) <= most:
        return said or "–"  # noqa: RUF001  a dash stands for nothing
    return f"causes {len(codes)}" if word else several(len(codes), "finding")


def gain(trial: Trial | None) -> str:
    """Return by how much the logarithm of the loss ended lower; nothing where there was no paired trial."""
    value = trial.after.get("log_loss_gain") if trial else None
    return "" if value is None else _signed(value)


def won(trial: Trial | None) -> str:
    """Return in how many of its seeds the changed copy ended lower."""
    return "" if trial is None or trial.wins is None else f"{trial.wins}/{trial.seeds}"


def odds(trial: Trial | None) -> str:
    """Return the p-value as statisticians write it: .021."""
    p = trial.p_value if trial else None
    if p is None or math.isnan(p):
        return ""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")  # noqa: PLR2004  three places


def duel(trial: Trial | None) -> str:
    """Return what the paired trial came to, in a line; nothing where a re-probe decided alone."""
    if trial is None or not (gain(trial) or won(trial) or odds(trial)):
        return ""
    said = [f"better in {trial.wins} of {several(trial.seeds, 'seed')}"] if trial.wins is not None else []
    if odds(trial):
        said.append(f"p {'' if odds(trial)[0] == '<' else '= '}{odds(trial)}")
    if gain(trial):
        said.append(f"gain in log loss {gain(trial)}{_bounds(trial)}")
    if trial.control:
        said.append(f"a random change: {_signed(trial.control.log_loss_gain)}")
    return ", ".join(said)


def chance(report: Report) -> str:
    """Return what changes by chance came to beside those that were tried, in a sentence; nothing without any."""
    trials = [report.prescription and report.prescription.trial, *(remedy.trial for remedy in report.remedies)]
    gains = {trial.control.log_loss_gain for trial in trials if trial and trial.control}
    gains = {gain for gain in gains if math.isfinite(gain)}
    if not gains:
        return ""
    low, high = _signed(min(gains)), _signed(max(gains))
    return f"Random changes gain {low}." if low == high else f"Random changes gain {low} to {high}."


def tried(report: Report) -> Sequence[Remedy]:
    """Return the remedies that were tried, those that help first."""
    order = tuple(RemedyStatus)
    found = [remedy for remedy in report.remedies if remedy.status not in _UNTRIED]
    return sorted(found, key=lambda remedy: (order.index(remedy.status), remedy.cost, remedy.id))


def untried(report: Report) -> Iterator[tuple[str, Sequence[Remedy]]]:
    """Yield what became of remedies that were not tried, in a word, and which."""
    for status in _UNTRIED:
        if left := [remedy for remedy in report.remedies if remedy.status is status]:
            yield DID[status], left


def reasons(remedies: Sequence[Remedy]) -> Iterator[tuple[str, str]]:
    """Yield each reason why remedies were not tried, and their titles."""
    for note in dict.fromkeys(remedy.note for remedy in remedies):
        yield note, "; ".join(remedy.title for remedy in remedies if remedy.note == note)


def cure(report: Report, finding: Finding) -> str:
    """Return what cures a finding, in a sentence; nothing where nothing is prescribed, or it stays."""
    prescription = report.prescription
    if prescription is None or finding.severity is Severity.INFO or finding.code in prescription.leaves:
        return ""
    return f"Tried and found to cure it: {prescription.title.rstrip('.')}."


def _coded(line: str) -> str:
    """Return a line of code with its indentation, and without what moves a cursor."""
    body = line.lstrip(" ")
    return " " * min(len(line) - len(body), _COLUMNS // 2) + plain(body, _COLUMNS)


def _bounds(trial: Trial) -> str:
    return "" if trial.bounds is None else f" ({' … '.join(_signed(bound) for bound in trial.bounds)})"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}" if math.isfinite(value) else number(value)


def _moved(trial: Trial, name: str) -> float:
    before, after = trial.before[name], trial.after[name]
    if before == after:
        return 0.0
    if not (math.isfinite(before) and math.isfinite(after)):
        return math.inf
    if before == 0 or after == 0:
        return abs(before - after)
    return abs(math.log(abs(after)) - math.log(abs(before)))
