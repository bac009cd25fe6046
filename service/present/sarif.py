"""The report as SARIF 2.1.0, for code scanning: one result per finding, with waivers as suppressions."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from service import catalogue
from service.contract.gate import GateResult, Judged, Outcome
from service.contract.report import Finding, Place, Report
from service.contract.words import Severity
from service.present import Format, add, draws, remedies, words
from service.present.numbers import number
from service.present.words import plain

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_LOCATIONS = 100

Json = dict[str, Any]


def render(report: Report, gate: GateResult | None, source: str = "") -> str:
    """Return the report as SARIF; results point to line 1 of `source`, as a model has no lines."""
    uri = _uri(source) if source else ("model.onnx" if report.model.format == "onnx" else "model.json")
    codes = sorted({finding.code for finding in report.findings})
    judged = {} if gate is None else {one.code: one for one in gate.findings}
    rules = [_rule(next(one for one in report.findings if one.code == code)) for code in codes]
    results = [
        result
        for finding in report.findings
        for result in _results(_with_cure(report, finding), judged.get(finding.code), codes.index(finding.code), uri)
    ]
    run: Json = {
        "tool": {"driver": {"name": "Gradgate", "semanticVersion": report.engine.version, "rules": rules}},
        "automationDetails": {"id": f"gradgate/{uri}"},
        "artifacts": [{"location": {"uri": uri}, "hashes": {"sha-256": report.model.sha256}}],
        "results": results,
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(finding: Finding) -> Json:
    return {
        "id": plain(finding.code),
        "shortDescription": {"text": plain(finding.title)},
        "help": {"text": _help(finding.code)},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        "properties": {"tags": ["gradient", str(finding.symptom)]},
    }


def _help(code: str) -> str:
    sections = (catalogue.rule(code) or {}).get("sections", {})
    return "\n\n".join(f"{heading}: {text}" for heading, text in sections.items()) or f"See /v1/rules/{plain(code)}."


def _results(finding: Finding, judged: Judged | None, index: int, uri: str) -> Iterator[Json]:
    """Yield the finding at the places that count, and, suppressed, at those that a waiver excuses."""
    severity = finding.severity if judged is None else judged.severity
    waived = set() if judged is None else set(judged.waived) - set(judged.places)
    off = judged is not None and judged.outcome in {Outcome.OFF, Outcome.WAIVED}
    live = [place for place in finding.places if place.known_as not in waived]
    excused = [place for place in finding.places if place.known_as in waived]
    if off:
        yield _result(finding, severity, index, uri, finding.places) | _suppressed(judged.reason if judged else "")
        return
    yield _result(finding, severity, index, uri, live)
    if excused:
        yield _result(finding, severity, index, uri, excused) | _suppressed("A waiver covers these places.")


def _with_cure(report: Report, finding: Finding) -> Finding:
    """Return a finding whose explanation also says what cures it."""
    said = f"{draws.explained(finding)} {remedies.cure(report, finding)}".strip()
    return finding.model_copy(update={"explanation": said, "seeds": None})


def _result(finding: Finding, severity: Severity, index: int, uri: str, places: Any) -> Json:  # noqa: ANN401  a sequence
    worst = words.worst(finding.model_copy(update={"places": tuple(places)}), _LOCATIONS)
    physical = {"artifactLocation": {"uri": uri, "index": 0}, "region": {"startLine": 1}}
    location: Json = {"physicalLocation": physical}
    if worst:
        location["logicalLocations"] = [_logical(place) for place in worst]
    shown = "; ".join(f"{words.where(one)}: {number(one.measured)}, limit {number(one.limit)}" for one in worst[:3])
    said = f"{finding.title} {finding.explanation}" + (f" Worst at {shown}." if shown else "")
    return {
        "ruleId": plain(finding.code),
        "ruleIndex": index,
        "level": _LEVELS[severity],
        "message": {"text": plain(said, 4000)},
        "locations": [location],
        "partialFingerprints": {"gradgate/v1": hashlib.sha256(f"{finding.code}|{uri}".encode()).hexdigest()},
    }


def _logical(place: Place) -> Json:
    """Return a node of a graph, or the value of the caller's JSON that a pointer leads to."""
    name = plain(words.where(place))
    if place.origin is None:
        return {"name": name, "fullyQualifiedName": plain(place.node), "kind": "module"}
    return {"name": name, "fullyQualifiedName": plain("/" + place.origin.partition(" ")[0]), "kind": "object"}


def _suppressed(why: str) -> Json:
    return {"suppressions": [{"kind": "external", "status": "accepted", "justification": plain(why)}]}


def _uri(source: str) -> str:
    path = quote(plain(source, 500).removeprefix("./"), safe="/")
    return f"file://{path}" if path.startswith("/") else path


add(Format("sarif", "application/sarif+json", render))
