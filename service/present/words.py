"""How a report's names and numbers are put into words, the same in every format for people."""

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

from service.contract.gate import GateResult, Judged, Outcome
from service.contract.profile import ProfileRow
from service.contract.report import Finding, Place, Report
from service.contract.words import Severity, Verdict
from service.present import draws
from service.present.numbers import number, several

MARKS = {Verdict.PASS: "✓", Verdict.WARN: "!", Verdict.FAIL: "✗"}
SEVERITY_MARKS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.INFO: "i"}
_PLACES = 3
_LAYER = re.compile(r'\S+/\S+ (".*" )?\(\w+\)')
_TITLE = re.compile(r' "(.*)" \(')


def plain(text: str, most: int = 400) -> str:
    """Return `text` on one line without what moves a cursor, hides or reorders letters, at most `most` long."""
    shown = "".join("�" if unicodedata.category(one)[0] == "C" else one for one in text[: 2 * most].expandtabs(1))
    line = " ".join(shown.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def where(place: Place) -> str:
    """Return a place as its owner knows it: by its layer and the role of its weight, or by its node and its weight."""
    name, weight = place.origin or place.node, place.parameter
    if place.origin and weight:
        weight = _role(place.origin, weight)
    shared = f" (shared with {', '.join(place.also)})" if place.also else ""
    return (f"{name}, {weight}" if weight and weight not in name else name) + shared


def fitted(name: str, most: int) -> str:
    """Return a name on one line, at most `most` long: of a layer in the caller's file the end, of others the start."""
    shown = plain(name)
    if not _LAYER.match(shown):
        return plain(name, most)
    path, _, kind = shown.partition(" ")
    steps = path.split("/")
    shorter = (f"…/{'/'.join(steps[start:])} {kind}" for start in range(1, len(steps)))
    return next((one for one in (shown, *shorter, kind) if len(one) <= most), plain(kind, most))


def merged(finding: Finding) -> tuple[Place, ...]:
    """Return one place per layer of the caller's file, the farthest from its limit first."""
    found: dict[str, Place] = {}
    for place in sorted(finding.places, key=_distance, reverse=True):
        found.setdefault(place.origin or f"{place.node} {place.parameter}", place)
    return tuple(found.values())


def worst(finding: Finding, most: int = _PLACES) -> Sequence[Place]:
    """Return the places that are farthest from their limit, one per layer, the farthest first."""
    return merged(finding)[:most]


def beyond(finding: Finding, most: int = _PLACES) -> int:
    """Return how many places are not among the worst."""
    return max(len(merged(finding)) - most, 0)


def weight(finding: Finding) -> str:
    """Return how much a finding weighs, in how many draws it shows, and how sure it is."""
    return ", ".join(filter(None, (finding.severity, draws.share(finding), f"{finding.confidence:.0%} sure")))


def coverage(report: Report) -> str:
    """Return how many rules fired, found nothing, did not apply or could not be judged."""
    words = {
        "fired": "fired",
        "clear": "found nothing",
        "not_applicable": "did not apply",
        "could_not_judge": "could not be judged",
    }
    statuses = [one.status for one in report.coverage]
    said = [f"{statuses.count(status)} {word}" for status, word in words.items() if status in statuses]
    return f"{several(len(statuses), 'rule')}: {', '.join(said)}." if said else ""


def unjudged(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the rules that could not be judged, with the reason."""
    yield from ((one.code, one.reason) for one in report.coverage if one.status == "could_not_judge")


def notes(report: Report) -> Iterator[str]:
    """Yield everything that a reader must know about how the report came about."""
    yield from report.model.notes
    yield from report.batch.notes
    yield from report.loss.notes
    yield from report.fidelity.notes
    if report.training:
        yield from report.training.notes
    yield from draws.unfinished(report)
    yield from report.notes


def sure(report: Report) -> str:
    """Return how sure the verdict is, in few words; nothing where it is not told."""
    return "" if report.confidence is None else f"{math.floor(100 * report.confidence)}% sure"


def decides(gate: GateResult | None) -> bool:
    """Say whether a policy had anything to say beyond the report's own verdict."""
    excused = {Outcome.WAIVED, Outcome.OFF}
    return gate is not None and (
        gate.verdict is not gate.report_verdict
        or bool(gate.warnings)
        or any(finding.outcome in excused for finding in gate.findings)
    )


def excused(gate: GateResult) -> Iterator[Judged]:
    """Yield the findings that the policy waives or leaves out."""
    yield from (finding for finding in gate.findings if finding.outcome in {Outcome.WAIVED, Outcome.OFF})


def subject(report: Report) -> str:
    """Return what was examined, in a line."""
    batch = f"{'a drawn' if report.batch.synthetic else 'a'} batch of {report.batch.size}"
    model = f"{report.model.format} model, {several(report.model.nodes, 'node')}"
    weights = several(report.model.trainable_parameters, "trained number")
    return f"{model}, {weights}; {batch}; {report.loss.name.replace('_', ' ')} loss {number(report.loss.value)}"


def fidelity(report: Report) -> str:
    """Return how well the forward pass agrees with the reference, in a sentence."""
    found = report.fidelity
    if found.max_relative_error is None:
        return f"Compared with {found.reference}: nothing to compare."
    agrees = "agrees" if found.ok else "does NOT agree"
    return (
        f"The forward pass {agrees} with {found.reference}: largest relative error {number(found.max_relative_error)}."
    )


def gradients(report: Report, most: int) -> list[tuple[ProfileRow, float]]:
    """Return up to `most` places that have a gradient, in forward order, with its share of the largest norm.

    A layer of the caller's file has one row, its weakest; where there are more, each stands for its neighbours and is
    the weakest, or the first broken one, of them.
    """
    rows = layers(report)
    if len(rows) <= most:
        return rows
    edges = [round(index * len(rows) / most) for index in range(most + 1)]
    return [_weakest(rows[start:end]) for start, end in pairwise(edges)]


def layers(report: Report) -> list[tuple[ProfileRow, float]]:
    """Return the weakest gradient of each layer, or of each operator that is of no layer, in forward order."""
    found: dict[str, list[tuple[ProfileRow, float]]] = {}
    for at, row in enumerate(report.profile):
        if row.gradient is not None:
            found.setdefault(row.origin or str(at), []).append((row, row.gradient.relative))
    return [_weakest(rows) for rows in found.values()]


def _role(origin: str, weight: str) -> str:
    """Return a weight's name without that of its layer: `kernel`, `query.kernel`."""
    module = f"{origin.partition(' ')[0]}."
    if weight.startswith(module):
        return weight.removeprefix(module)
    title = _TITLE.search(origin)
    layer = title[1] if title else weight.rpartition("/")[2].partition(".")[0]
    return weight.rpartition(f"{layer}.")[2]


def _weakest(rows: Sequence[tuple[ProfileRow, float]]) -> tuple[ProfileRow, float]:
    return min(rows, key=lambda one: one[1] if math.isfinite(one[1]) else -1)


def _distance(place: Place) -> float:
    if not math.isfinite(place.measured):
        return math.inf
    if place.measured == 0 or place.limit == 0:
        return 1e300 if place.measured != place.limit else 0.0
    return abs(math.log(abs(place.measured)) - math.log(abs(place.limit))) if math.isfinite(place.limit) else 0.0
