"""The report for a pull request: GitHub's Markdown, where no name from a model becomes a mention, a link or markup."""

import re
from collections.abc import Iterable, Iterator

from service.contract.gate import GateResult
from service.contract.report import Finding, Prescription, Remedy, Report
from service.present import Format, add, depth, draws, numbers, remedies, words
from service.present.numbers import number
from service.present.words import plain

_ICONS = {"pass": "✅", "warn": "⚠️", "fail": "❌", "error": "❌", "warning": "⚠️", "info": "ℹ️"}  # noqa: RUF001  an emoji
_ROWS = 40
_SPECIAL = re.compile(r"([\\`*_\[\]|~]|^[#+-])")
_NUMBERED = re.compile(r"^(\d+)([.)])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "://": "&#58;//", "www.": "www&#46;"}


def render(report: Report, gate: GateResult | None, source: str = "") -> str:
    """Return the report as Markdown, the verdict first, the long tables folded."""
    sections = (_head, _gate, _findings, _prescription, _tried, _gradients, _training, _deep, _footing)
    return "\n".join(line for section in sections for line in section(report, gate)).strip() + "\n"


def prose(text: str) -> str:
    """Return text in which nothing is markup, a mention or a link."""
    shown = _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", plain(text, 4000)))
    for one, entity in _ENTITIES.items():
        shown = shown.replace(one, entity)
    return shown


def code(name: str) -> str:
    """Return a name as a code span that can stand in a table."""
    return "`" + plain(name, 200).replace("`", "'").replace("|", "\\|") + "`"


def _head(report: Report, gate: GateResult | None) -> Iterator[str]:
    verdict = gate.verdict if gate else report.verdict
    sure = f" ({words.sure(report)})" if words.sure(report) and verdict is report.verdict else ""
    yield f"## {_ICONS[verdict]} Gradgate: {verdict}{sure}"
    yield ""
    yield f"**{prose(report.summary)}**"
    yield ""
    if told := draws.told(report):
        yield prose(told)
        yield ""
    yield prose(words.subject(report))
    yield ""


def _gate(report: Report, gate: GateResult | None) -> Iterator[str]:
    if gate is None or not words.decides(gate):
        return
    yield prose(gate.summary)
    yield ""
    for finding in words.excused(gate):
        yield f"- {code(finding.code)} is {finding.outcome}: {prose(finding.reason)}"
    yield from (f"- {_ICONS['warn']} {prose(warning)}" for warning in gate.warnings)
    yield ""


def _findings(report: Report, gate: GateResult | None) -> Iterator[str]:
    yield "### Findings"
    yield ""
    for finding in report.findings:
        yield from _finding(finding)
    if not report.findings:
        yield "None."
        yield ""


def _finding(finding: Finding) -> Iterator[str]:
    yield f"#### {_ICONS[finding.severity]} {prose(finding.code)}: {prose(finding.title)}"
    yield ""
    yield f"{prose(finding.explanation)} *({words.weight(finding)})*"
    yield ""
    if finding.places:
        rows = ((code(words.where(one)), number(one.measured), number(one.limit)) for one in words.worst(finding))
        yield from _table(("at", "measured", "limit"), rows)
    if left := words.beyond(finding):
        yield f"and at {numbers.several(left, 'more place')}"
        yield ""


def _prescription(report: Report, gate: GateResult | None) -> Iterator[str]:
    if (found := remedies.prescribed(report)) is None:
        return
    yield "### What helps" if report.prescription else "### What comes closest"
    yield ""
    if not report.prescription:
        yield from (remedies.NOTHING_CURES, "")
    yield from (f"**{prose(found.title)}**", "")
    if found.explanation:
        yield from (prose(found.explanation), "")
    yield from (f"- {prose(change)}" for change in remedies.together(report, found))
    yield ""
    rows = ((prose(name), before, after) for name, before, after in remedies.changes(found.trial))
    yield from _table(("measure", "before", "after"), rows)
    yield from (f"- {prose(sentence)}" for sentence in remedies.standing(report, found))
    yield from (f"- or: {prose(other)}" for other in remedies.alternatives(report))
    yield ""
    yield from _code(report, found)


def _code(report: Report, prescription: Prescription) -> Iterator[str]:
    for remedy in remedies.members(report, prescription):
        for framework, lines in remedies.code(remedy):
            yield f"{prose(remedy.title)}, in {framework}:"
            yield from ("", *_fenced(lines), "")


def _fenced(lines: str) -> Iterator[str]:
    """Yield lines of code between fences that nothing within them closes."""
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`+", lines))])
    yield from (f"{fence}python", lines, fence)


def _tried(report: Report, gate: GateResult | None) -> Iterator[str]:
    if not report.remedies:
        return
    yield "### What was tried"
    yield ""
    rows = (
        (
            prose(remedy.title),
            remedies.DID[remedy.status],
            prose(remedies.effect(remedy)),
            "<br>".join(_figures(remedy)),
        )
        for remedy in remedies.tried(report)
    )
    yield from _table(("remedy", "what it did", "findings", "trial, before → after"), rows)
    for word, left in remedies.untried(report):
        yield f"<details><summary>{word}: {len(left)}</summary>"
        yield ""
        yield from (f"- {prose(f'{note} ({titles})' if note else titles)}" for note, titles in remedies.reasons(left))
        yield from ("", "</details>", "")


def _figures(remedy: Remedy) -> Iterator[str]:
    if said := remedies.duel(remedy.trial):
        yield prose(said)
    yield from (f"{prose(name)}: {before} → {after}" for name, before, after in remedies.changes(remedy.trial, 2))


def _gradients(report: Report, gate: GateResult | None) -> Iterator[str]:
    found = words.gradients(report, _ROWS)
    if not found:
        return
    yield "<details><summary>Gradient, from input to output</summary>"
    yield ""
    rows = ((code(row.origin or row.node), f"`{numbers.bar(share, 20)}`", number(share)) for row, share in found)
    yield from _table(("place", "1e-8 … 1", "share of the largest"), rows)
    yield "</details>"
    yield ""


def _training(report: Report, gate: GateResult | None) -> Iterator[str]:
    trial = report.training
    if trial is None or not trial.loss:
        return
    setting = f"{trial.optimizer} at {number(trial.learning_rate)}, {numbers.several(trial.steps, 'step')}"
    line = f"{number(trial.loss[0])} `{numbers.sparkline(trial.loss)}` {number(trial.loss[-1])}"
    yield f"Training trial ({setting}): loss {line}"
    yield ""


def _deep(report: Report, gate: GateResult | None) -> Iterator[str]:
    if report.deep is None:
        return
    yield "### In depth"
    yield ""
    yield from (f"- {prose(sentence)}" for sentence in depth.measured(report))
    yield ""


def _footing(report: Report, gate: GateResult | None) -> Iterator[str]:
    yield f"{prose(words.coverage(report))} {prose(words.fidelity(report))}"
    yield ""
    yield from (f"- {code(rule)} could not be judged: {prose(reason)}" for rule, reason in words.unjudged(report))
    yield from (f"- {prose(note)}" for note in words.notes(report))
    yield ""
    yield f"<sub>Gradgate {prose(report.engine.version)}, report {code(report.digest[:16])}</sub>"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    titles = tuple(head)
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


add(Format("markdown", "text/markdown", render))
