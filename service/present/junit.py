"""The report as JUnit XML, for the test view of a CI system: one test case per rule."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from service import catalogue
from service.contract.gate import GateResult, Judged, Outcome
from service.contract.report import Finding, Report
from service.contract.words import Severity
from service.present import Format, add, draws, remedies, words
from service.present.numbers import number
from service.present.words import plain


def render(report: Report, gate: GateResult | None, source: str = "") -> str:
    """Return a test suite: a finding that shuts the gate is a failure, one that is waived or not judged is skipped."""
    suite = ET.Element("testsuite", name="gradgate", timestamp=report.created_at.strftime("%Y-%m-%dT%H:%M:%S"))
    suite.set("time", f"{sum(report.timing.values()):.3f}")
    judged = {} if gate is None else {one.code: one for one in gate.findings}
    for finding in report.findings:
        case = _case(suite, finding.code, finding.title, source)
        _finding(case, finding, judged.get(finding.code), remedies.cure(report, finding))
    for code, why in _others(report):
        case = _case(suite, code, (catalogue.rule(code) or {}).get("title", ""), source)
        if why:
            ET.SubElement(case, "skipped", message=plain(why))
    for name in ("failure", "skipped"):
        suite.set("failures" if name == "failure" else name, str(len(suite.findall(f"testcase/{name}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("errors", "0")
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _case(suite: ET.Element, code: str, title: str, source: str) -> ET.Element:
    name = plain(f"{code} {title}".strip())
    return ET.SubElement(suite, "testcase", name=name, classname=f"gradgate.{plain(source or 'model')}", time="0")


def _finding(case: ET.Element, finding: Finding, judged: Judged | None, cure: str) -> None:
    lines = (plain(draws.explained(finding), 4000), *_place(finding), plain(cure))
    said = "\n".join(filter(None, lines))
    outcome = judged.outcome if judged else _outcome(finding.severity)
    if outcome is Outcome.FAILS:
        failure = ET.SubElement(case, "failure", message=plain(finding.title), type=str(finding.symptom))
        failure.text = said
    elif outcome in {Outcome.WAIVED, Outcome.OFF}:
        ET.SubElement(case, "skipped", message=plain(judged.reason if judged else ""))
    else:
        ET.SubElement(case, "system-out").text = said


def _place(finding: Finding) -> Iterator[str]:
    for place in words.worst(finding, 20):
        yield f"at {plain(words.where(place))}: {number(place.measured)}, limit {number(place.limit)}"


def _outcome(severity: Severity) -> Outcome:
    return Outcome.FAILS if severity is Severity.ERROR else Outcome.WARNS


def _others(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the rules that found nothing, and why a rule could not say so."""
    for one in report.coverage:
        if one.status != "fired":
            yield one.code, "" if one.status == "clear" else one.reason or one.status.replace("_", " ")


add(Format("junit", "application/xml", render))
