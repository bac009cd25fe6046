"""How several draws of one model are put into words, the same in every format for people."""

from collections.abc import Iterator

from service.contract.redraws import Spread
from service.contract.report import Finding, Report
from service.contract.words import Verdict
from service.present.numbers import number, several

_VERBS = {Verdict.FAIL: ("fails", "fail"), Verdict.WARN: ("warns", "warn"), Verdict.PASS: ("passes", "pass")}
_MEASURES = {
    "gain": "gradient gain (ln)",
    "initial_loss": "loss at the start",
    "lowest_loss": "lowest loss",
    "dead": "dead units, at worst",
    "saturated": "saturated units, at worst",
}
_SHARES = {"dead", "saturated"}
_TELLING_SHARE = 0.01


def told(report: Report) -> str:
    """Return what the draws of a model came to, and how far apart they are; nothing where there is one."""
    if report.redraws is None:
        return ""
    verdicts = [draw.verdict for draw in report.redraws.draws]
    counts = [(verdicts.count(verdict), verbs) for verdict, verbs in _VERBS.items() if verdict in verdicts]
    said = [f"{count} {verbs[count > 1]}" for count, verbs in counts]
    if len(counts) == 1 and None not in verdicts:
        said = [f"all {counts[0][1][1]}"]
    if late := verdicts.count(None):
        said.append(f"{late} not measured for lack of time")
    spread = [f"{name} {_range(key, report.redraws.spread[key])}" for key, name in measured(report)]
    return f"{len(verdicts)} draws: {', '.join(said)}" + (f"; {', '.join(spread)}." if spread else ".")


def measured(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the measures of the draws that say something: their key, and what people call them."""
    found = report.redraws.spread if report.redraws else {}
    for key, name in _MEASURES.items():
        if key in found and (key not in _SHARES or found[key].highest >= _TELLING_SHARE):
            yield key, name


def _range(key: str, spread: Spread) -> str:
    low, high = (f"{end:.0%}" if key in _SHARES else number(end) for end in (spread.lowest, spread.highest))
    return low if low == high else f"{low} … {high}"


def of_draws(report: Report) -> str:
    """Return which of several draws the training trial tells of."""
    seeds = report.training.seeds if report.training else 1
    return f"the first of {seeds} draws" if report.redraws else several(seeds, "seed")


def unfinished(report: Report) -> Iterator[str]:
    """Yield what was left undone with which draws."""
    every = report.redraws.draws if report.redraws else ()
    for note in dict.fromkeys(draw.note for draw in every if draw.note):
        seeds = [str(draw.seed) for draw in every if draw.note == note]
        yield f"{'Seed' if len(seeds) == 1 else 'Seeds'} {', '.join(seeds)}: {note[0].lower()}{note[1:]}"


def share(finding: Finding) -> str:
    """Return in how many draws a finding shows; nothing where all show it, or where its explanation says so."""
    seeds = finding.seeds
    said = f"{seeds.showing} of {seeds.of} draws" if seeds and seeds.showing < seeds.of else ""
    return f"in {said}" if said and said not in finding.explanation else ""


def explained(finding: Finding) -> str:
    """Return a finding's explanation, with how many draws show it where not all do."""
    said = share(finding)
    return finding.explanation + (f" It shows {said}." if said else "")
