"""The gate: a policy applied to a report.  Pure: the report, the policy and the day decide."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

from service.contract.gate import GateResult, Judged, Outcome, WaiverStatus, WaiverUse
from service.contract.policy import Policy, Waiver
from service.contract.report import Finding, Place, Report
from service.contract.words import Severity, Verdict
from service.majority import RANK, decided

_VERDICT = {Outcome.FAILS: Verdict.FAIL, Outcome.WARNS: Verdict.WARN}
_ORDER = tuple(Outcome)


def judge(report: Report, policy: Policy, today: date) -> GateResult:
    """Return the policy's verdict over the report.

    A finding fails the gate when its severity is at least `fail_on`; short of that, an error or a warning warns.  A
    waived place does not count, and a finding all of whose places are waived does not count either.  A waiver holds
    through its last day.  Where the report tells of several draws, the policy judges each of them, and most decide.
    """
    cases = [_case(finding, policy, today) for finding in report.findings]
    weights = _weights(report, cases)
    findings = tuple(sorted((_judged(case, weights, policy.fail_on) for case in cases), key=_weight))
    waivers = tuple(_use(waiver, report.findings, today) for waiver in policy.waivers)
    warnings = (*_about(waivers), *_unknown(report, policy), *_doubts(report))
    verdict = _verdict(findings, warned=bool(warnings))
    return GateResult(
        id=report.id,
        verdict=verdict,
        report_verdict=report.verdict,
        summary=_summary(verdict, findings, warnings),
        fail_on=policy.fail_on,
        findings=findings,
        waivers=waivers,
        warnings=warnings,
        links={"diagnosis": f"/v1/diagnoses/{report.id}", "report": f"/v1/diagnoses/{report.id}/report"},
    )


@dataclass(frozen=True)
class _Case:
    """A finding, and what the policy says of it."""

    finding: Finding
    level: Severity | None
    """What the policy counts its rule for; None where it does not say."""
    off: bool
    excused: tuple[bool, ...]
    """Per place, whether a waiver covers it."""
    waived: bool
    """Whether waivers cover all of it."""


def _case(finding: Finding, policy: Policy, today: date) -> _Case:
    rule = policy.rules.get(finding.code)
    off = rule is not None and rule.level == "off"
    live = [waiver for waiver in policy.waivers if waiver.rule == finding.code and waiver.until >= today]
    excused = tuple(any(_covers(waiver, place) for waiver in live) for place in finding.places)
    everywhere = all(excused) if excused else any(waiver.target == "*" for waiver in live)
    return _Case(finding, None if rule is None or rule.level == "off" else rule.level, off, excused, everywhere)


def _weights(report: Report, cases: Iterable[_Case]) -> Mapping[str, Severity]:
    """Return what each finding weighs under the policy: in each draw by its level, over all draws by most of them."""
    counted = {case.finding.code: case for case in cases if not case.off and not case.waived}
    alone = {finding.code: finding.severity for finding in report.findings}
    draws = [draw.codes for draw in report.redraws.draws if draw.verdict] if report.redraws else [alone]
    weights = decided(
        [{code: counted[code].level or shown for code, shown in draw.items() if code in counted} for draw in draws]
    )
    return {code: weights.get(code, Severity.INFO) for code in counted}


def _judged(case: _Case, weights: Mapping[str, Severity], fail_on: Severity) -> Judged:
    finding = case.finding
    severity = weights.get(finding.code, case.level or finding.severity)
    outcome = _outcome(severity, fail_on, off=case.off, waived=case.waived)
    return Judged(
        code=finding.code,
        title=finding.title,
        outcome=outcome,
        severity=severity,
        places=tuple(p.known_as for p, out in zip(finding.places, case.excused, strict=True) if not out),
        waived=tuple(p.known_as for p, out in zip(finding.places, case.excused, strict=True) if out),
        reason=_reason(outcome, severity, fail_on, case),
    )


def _outcome(severity: Severity, fail_on: Severity, *, off: bool, waived: bool) -> Outcome:
    if off:
        return Outcome.OFF
    if waived:
        return Outcome.WAIVED
    if RANK[severity] >= RANK[fail_on]:
        return Outcome.FAILS
    return Outcome.INFORMS if severity is Severity.INFO else Outcome.WARNS


def _reason(outcome: Outcome, severity: Severity, fail_on: Severity, case: _Case) -> str:
    said = f"{_counted(severity, case)}{_draws(case.finding)}"
    return {
        Outcome.FAILS: f"{said}; the gate fails on {fail_on} and above.",
        Outcome.WARNS: f"{said}; the gate fails on {fail_on} only.",
        Outcome.INFORMS: f"{said}; this is for information.",
        Outcome.WAIVED: "Waivers cover all of its places.",
        Outcome.OFF: "The policy leaves this rule out.",
    }[outcome]


def _counted(severity: Severity, case: _Case) -> str:
    was = case.finding.severity
    if severity is was:
        return f"Its severity is {severity}"
    who = "The policy counts it" if case.level else "What the policy leaves of the draws counts it"
    return f"{who} as {severity} (the report says {was})"


def _draws(finding: Finding) -> str:
    """Say how many draws show a finding that not all of them show."""
    seeds = finding.seeds
    return "" if seeds is None or seeds.showing == seeds.of else f", in {seeds.showing} of {seeds.of} draws"


def _covers(waiver: Waiver, place: Place) -> bool:
    names = (place.node, place.origin, place.parameter)
    return any(name == waiver.target or fnmatchcase(name, waiver.target) for name in names if name is not None)


def _use(waiver: Waiver, findings: Iterable[Finding], today: date) -> WaiverUse:
    mine = [finding for finding in findings if finding.code == waiver.rule]
    used = any(_covers(waiver, place) for finding in mine for place in finding.places)
    used = used or any(not finding.places and waiver.target == "*" for finding in mine)
    status = WaiverStatus.USED if used else WaiverStatus.UNUSED
    return WaiverUse(
        rule=waiver.rule,
        target=waiver.target,
        owner=waiver.owner,
        until=waiver.until,
        status=WaiverStatus.EXPIRED if waiver.until < today else status,
    )


def _about(waivers: Iterable[WaiverUse]) -> Iterator[str]:
    for waiver in waivers:
        name = f"The waiver of {waiver.rule} at {waiver.target!r} ({waiver.owner})"
        if waiver.status is WaiverStatus.EXPIRED:
            yield f"{name} ended on {waiver.until}: its findings count again."
        elif waiver.status is WaiverStatus.UNUSED:
            yield f"{name} covers nothing in this report: it can go."


def _unknown(report: Report, policy: Policy) -> Iterator[str]:
    known = {rule.code for rule in report.coverage} | {finding.code for finding in report.findings}
    if report.coverage:
        for code in sorted({*policy.rules, *(waiver.rule for waiver in policy.waivers)} - known):
            yield f"The policy names the rule {code!r}, which this report's engine does not have."


def _doubts(report: Report) -> Iterator[str]:
    if not report.fidelity.ok:
        yield f"The forward pass does not agree with {report.fidelity.reference}; read the findings with care."


def _verdict(findings: Iterable[Judged], *, warned: bool) -> Verdict:
    verdicts = {_VERDICT.get(finding.outcome, Verdict.PASS) for finding in findings}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.WARN if warned or Verdict.WARN in verdicts else Verdict.PASS


def _summary(verdict: Verdict, findings: Iterable[Judged], warnings: tuple[str, ...]) -> str:
    counts = {outcome: [f.code for f in findings if f.outcome is outcome] for outcome in Outcome}
    words = {
        Outcome.FAILS: "against the policy",
        Outcome.WARNS: "to look at",
        Outcome.WAIVED: "waived",
        Outcome.OFF: "left out",
    }
    said = [f"{len(codes)} {words[o]} ({', '.join(codes)})" for o, codes in counts.items() if codes and o in words]
    said += [f"{len(warnings)} {'warning' if len(warnings) == 1 else 'warnings'}"] if warnings else []
    opening = {Verdict.FAIL: "The gate is shut", Verdict.WARN: "The gate is open, with warnings"}.get(
        verdict, "The gate is open"
    )
    return f"{opening}: {', '.join(said) or 'nothing found'}."


def _weight(finding: Judged) -> tuple[int, str]:
    return _ORDER.index(finding.outcome), finding.code
