"""Evidence to findings: every rule judges every seed, and the majority of seeds decides."""

from collections.abc import Sequence

from service.contract.report import Coverage, Finding
from service.contract.words import Severity, Verdict
from worker.probe.evidence import Evidence
from worker.rules import Answer, Observation, Rule, Silence, rules

_WEIGHT = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def diagnose(evidences: Sequence[Evidence]) -> tuple[tuple[Finding, ...], tuple[Coverage, ...]]:
    """Return the findings that most seeds show, the gravest and the causes first, and every rule's coverage."""
    findings, coverage = [], []
    for rule in sorted(rules.values(), key=lambda rule: (rule.order, rule.code)):
        answers = [rule.judge(evidence) for evidence in evidences]
        finding = _finding(rule, answers)
        if finding is not None:
            findings.append(finding)
        coverage.append(_coverage(rule, answers, fired=finding is not None))
    findings.sort(key=lambda finding: _WEIGHT[finding.severity])
    return tuple(findings), tuple(coverage)


def verdict(findings: Sequence[Finding]) -> Verdict:
    """Return `fail` where an error stands, `warn` where a warning does, `pass` otherwise."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.FAIL
    return Verdict.WARN if Severity.WARNING in severities else Verdict.PASS


def _finding(rule: Rule, answers: Sequence[Answer]) -> Finding | None:
    fired = [answer for answer in answers if isinstance(answer, Observation)]
    if 2 * len(fired) <= len(answers):
        return None
    severity = _severity(fired, len(answers))
    shown = next(answer for answer in fired if answer.severity is severity)
    share = len(fired) / len(answers)
    seeds = {"seeds": float(len(answers)), "seeds_showing": float(len(fired))} if len(answers) > 1 else {}
    return Finding(
        code=rule.code,
        symptom=rule.symptom,
        severity=severity,
        title=rule.title,
        explanation=shown.explanation,
        places=shown.places,
        evidence={**shown.evidence, **seeds},
        confidence=min(max(shown.confidence * share, 0.0), 1.0),
        docs=f"/v1/rules/{rule.code}",
    )


def _severity(fired: Sequence[Observation], seeds: int) -> Severity:
    """Return the gravest severity that most seeds show, or surpass."""
    ranks = sorted(_WEIGHT[answer.severity] for answer in fired)
    return list(_WEIGHT)[ranks[seeds // 2]]


def _coverage(rule: Rule, answers: Sequence[Answer], *, fired: bool) -> Coverage:
    if fired:
        return Coverage(code=rule.code, status="fired")
    silent = next((answer for answer in answers if isinstance(answer, Silence)), Silence("clear"))
    return Coverage(code=rule.code, status=silent.status, reason=silent.reason)
