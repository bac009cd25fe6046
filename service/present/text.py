"""The report for a terminal: 92 columns, no colours, nothing that moves the cursor."""

import textwrap
from collections.abc import Iterator

from service.contract.gate import GateResult
from service.contract.report import Finding, Prescription, Remedy, Report
from service.present import Format, add, depth, draws, numbers, remedies, words
from service.present.numbers import number
from service.present.words import plain

WIDTH = 92
_ROWS = 24
_NAME = 44
_CHANGES = 8
_PLACE = 46
_TITLE = 46
_FOUND = 12


def render(report: Report, gate: GateResult | None, source: str = "") -> str:
    """Return the report as lines of text, the verdict first."""
    sections = (_head, _gate, _findings, _prescription, _tried, _gradients, _training, _deep, _footing)
    return "\n".join(line.rstrip() for section in sections for line in section(report, gate)).strip() + "\n"


def _head(report: Report, gate: GateResult | None) -> Iterator[str]:
    verdict = gate.verdict if gate else report.verdict
    sure = f" ({words.sure(report)})" if words.sure(report) and verdict is report.verdict else ""
    yield from _wrapped(f"{words.MARKS[verdict]} {verdict.upper()}{sure}  {words.subject(report)}", "", "  ")
    yield ""
    yield from _wrapped(report.summary, "  ")
    yield from _wrapped(draws.told(report), "  ")
    yield ""


def _gate(report: Report, gate: GateResult | None) -> Iterator[str]:
    if gate is None or not words.decides(gate):
        return
    yield from _titled("GATE")
    yield from _wrapped(gate.summary, "  ")
    if gate.verdict is not gate.report_verdict:
        yield f"  The report itself says {gate.report_verdict}; the policy decides."
    for finding in words.excused(gate):
        yield from _wrapped(f"{finding.code} is {finding.outcome}: {finding.reason}", "  ")
    for warning in gate.warnings:
        yield from _wrapped(f"! {warning}", "  ", "    ")
    yield ""


def _findings(report: Report, gate: GateResult | None) -> Iterator[str]:
    yield from _titled("FINDINGS")
    for finding in report.findings:
        yield from _finding(finding)
    if not report.findings:
        yield "  None."
        yield ""


def _finding(finding: Finding) -> Iterator[str]:
    mark = words.SEVERITY_MARKS[finding.severity]
    yield from _wrapped(f"{mark} {plain(finding.code)}  {finding.title}", "  ", "           ")
    yield from _wrapped(f"{finding.explanation} ({words.weight(finding)})", "      ")
    for place in words.worst(finding):
        name = words.fitted(words.where(place), _PLACE)
        measures = f"{number(place.measured):>10}  limit {number(place.limit)}" if place.measured or place.limit else ""
        yield f"      at {name:<{_PLACE}} {measures}"
    if left := words.beyond(finding):
        yield f"      and at {numbers.several(left, 'more place')}"
    yield ""


def _prescription(report: Report, gate: GateResult | None) -> Iterator[str]:
    if (found := remedies.prescribed(report)) is None:
        return
    yield from _titled("WHAT HELPS" if report.prescription else "WHAT COMES CLOSEST")
    if not report.prescription:
        yield f"  {remedies.NOTHING_CURES}"
    yield from _wrapped(found.title, "  ")
    yield from _wrapped(found.explanation, "  ")
    yield from _changes(report, found)
    for name, before, after in remedies.changes(found.trial):
        yield f"    {plain(name, 40):<28} {before:>12} → {after}"
    for sentence in remedies.standing(report, found):
        yield from _wrapped(sentence, "    ")
    if found.treated_model and report.id:
        yield f"    The treated model: GET /v1/diagnoses/{report.id}/treated-model"
    for other in remedies.alternatives(report):
        yield from _wrapped(f"or: {other}", "    ", "        ")
    yield from _code(report, found)
    yield ""


def _changes(report: Report, prescription: Prescription) -> Iterator[str]:
    changes = remedies.together(report, prescription)
    for change in changes[:_CHANGES]:
        yield from _wrapped(f"· {change}", "    ", "      ")
    if (left := len(changes) - _CHANGES) > 0:
        yield f"    · and {numbers.several(left, 'more change')}"


def _code(report: Report, prescription: Prescription) -> Iterator[str]:
    """Yield lines of code as they are, to be pasted; they may be wider than the rest."""
    for remedy in remedies.members(report, prescription):
        for framework, lines in remedies.code(remedy):
            yield f"  in {framework}:"
            yield from (f"    {line}" for line in lines.splitlines())


def _tried(report: Report, gate: GateResult | None) -> Iterator[str]:
    if not report.remedies:
        return
    yield from _titled("WHAT WAS TRIED")
    tried = remedies.tried(report)
    if any(remedies.duel(remedy.trial) for remedy in tried):
        yield f"  {'':<11} {'':<{_TITLE}} {'cures':<{_FOUND}} {'gain':>6} {'seeds':>5} {'p':>5}"
    yield from map(_row, tried)
    if any(remedies.gain(remedy.trial) for remedy in tried):
        yield from _wrapped(f"gain: how much lower ln of the loss ends. {remedies.chance(report)}", "  ")
    for word, left in remedies.untried(report):
        names = ", ".join(remedy.treatment for remedy in left)
        yield f"  {plain(f'{word} ({len(left)}): {names}', WIDTH - 2)}"
    yield ""


def _row(remedy: Remedy) -> str:
    did, title, found = remedies.DID[remedy.status], plain(remedy.title, _TITLE), remedies.found(remedy, _FOUND)
    gain, won, odds = (figure(remedy.trial) for figure in (remedies.gain, remedies.won, remedies.odds))
    return f"  {did:<11} {title:<{_TITLE}} {found:<{_FOUND}} {gain:>6.6} {won:>5.5} {odds:>5}"


def _gradients(report: Report, gate: GateResult | None) -> Iterator[str]:
    rows = words.gradients(report, _ROWS)
    if not rows:
        return
    yield from _titled("GRADIENT, FROM INPUT TO OUTPUT")
    yield f"  {'':<{_NAME}} 1e-8{'share of the largest':^27}1"
    for row, share in rows:
        yield f"  {words.fitted(row.origin or row.node, _NAME):<{_NAME}} {numbers.bar(share)} {number(share)}"
    total = len(words.layers(report))
    if total > len(rows):
        yield f"  {len(rows)} of {numbers.count(total)} places: each the weakest of its neighbourhood."
    yield ""


def _training(report: Report, gate: GateResult | None) -> Iterator[str]:
    trial = report.training
    if trial is None:
        return
    yield from _titled("TRAINING TRIAL")
    steps = numbers.several(trial.steps, "step")
    yield f"  {trial.optimizer} at {number(trial.learning_rate)}, {steps}, {draws.of_draws(report)}"
    for name, curve in (("loss", trial.loss), ("gradient norm", trial.gradient_norm)):
        if curve:
            yield f"  {name:<14} {number(curve[0]):>9} {numbers.sparkline(curve)} {number(curve[-1])}"
    if trial.max_stable_learning_rate is not None:
        yield f"  largest stable learning rate: {number(trial.max_stable_learning_rate)}"
    if trial.suggested.learning_rate is not None:
        yield f"  suggested learning rate: {number(trial.suggested.learning_rate)}"
    if trial.suggested.clipping is not None:
        yield f"  suggested clipping: by {trial.suggested.clipping.kind} at {number(trial.suggested.clipping.limit)}"
    yield ""


def _deep(report: Report, gate: GateResult | None) -> Iterator[str]:
    if report.deep is None:
        return
    yield from _titled("IN DEPTH")
    for sentence in depth.measured(report):
        yield from _wrapped(f"· {sentence}", "  ", "    ")
    yield ""


def _footing(report: Report, gate: GateResult | None) -> Iterator[str]:
    yield from _titled("HOW SURE IS THIS")
    yield from _wrapped(f"{words.coverage(report)} {words.fidelity(report)}", "  ")
    for code, reason in words.unjudged(report):
        yield from _wrapped(f"· {code} could not be judged: {reason}", "  ", "    ")
    for note in words.notes(report):
        yield from _wrapped(f"· {note}", "  ", "    ")
    engine = f"Gradgate {report.engine.version}, torch {report.engine.torch}, {report.engine.device}"
    yield from _wrapped(f"{engine}, {depth.effort(report)}; the rules: /v1/rules, docs/rules.md", "  ")


def _titled(title: str) -> Iterator[str]:
    yield f"{title} {'─' * (WIDTH - len(title) - 1)}"


def _wrapped(text: str, indent: str, further: str | None = None) -> Iterator[str]:
    yield from textwrap.wrap(
        plain(text, 4000), WIDTH, initial_indent=indent, subsequent_indent=indent if further is None else further
    )


add(Format("text", "text/plain", render))
