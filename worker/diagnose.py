"""Evidence to findings: every rule judges every draw, and the majority of draws decides."""

import math
from collections.abc import Mapping, Sequence
from statistics import stdev

from service.contract.redraws import Seeds
from service.contract.report import Coverage, Finding
from service.contract.words import Severity, Verdict
from service.majority import RANK, Shown, decided, failing, reaching
from worker.probe.evidence import Evidence
from worker.rules import Answer, Observation, Rule, Silence, rules

_COUNTS = {Severity.WARNING: "a warning", Severity.INFO: "a note"}
_VERBS = {Severity.ERROR: ("fails", "fail"), Severity.WARNING: ("warns", "warn")}


def diagnose(evidences: Sequence[Evidence]) -> tuple[tuple[Finding, ...], tuple[Coverage, ...]]:
    """Return the findings that the draws show together, the gravest and the causes first, and each rule's coverage."""
    judged = [_judged(evidence) for evidence in evidences]
    answers = {rule.code: [draw[rule.code] for draw in judged] for rule in _ordered()}
    draws = [_shown(draw) for draw in judged]
    weights = decided(draws)
    findings = [
        _spread(
            _finding(rule, weights[rule.code], answers[rule.code], draws),
            sum(rule.code in draw for draw in draws),
            evidences,
        )
        for rule in _ordered()
        if rule.code in weights
    ]
    findings.sort(key=lambda finding: -RANK[finding.severity])
    coverage = (_coverage(rule, answers[rule.code], fired=rule.code in weights) for rule in _ordered())
    return tuple(findings), tuple(coverage)


def told(evidence: Evidence) -> dict[str, Observation]:
    """Return what the rules that fire on one draw say, by their code."""
    return {code: answer for code, answer in _judged(evidence).items() if isinstance(answer, Observation)}


def shown(evidence: Evidence) -> Shown:
    """Return the rules that fire on one draw, and how gravely."""
    return _shown(_judged(evidence))


def raised(evidence: Evidence) -> frozenset[str]:
    """Return the rules that warn or reject on one draw, whether or not a cause says the same."""
    answers = {code: rule.judge(evidence) for code, rule in rules.items()}
    return frozenset(
        code
        for code, answer in answers.items()
        if isinstance(answer, Observation) and answer.severity is not Severity.INFO
    )


def verdict(findings: Sequence[Finding]) -> Verdict:
    """Return `fail` where an error stands, `warn` where a warning does, `pass` otherwise."""
    return verdict_of_draw({finding.code: finding.severity for finding in findings})


def verdict_of_draw(shown: Shown) -> Verdict:
    """Return what one draw alone would be told."""
    severities = shown.values()
    if Severity.ERROR in severities:
        return Verdict.FAIL
    return Verdict.WARN if Severity.WARNING in severities else Verdict.PASS


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean; None of fewer than two numbers, or where one is not finite."""
    if len(values) < 2 or not all(map(math.isfinite, values)):  # noqa: PLR2004  a spread takes two
        return None
    return stdev(values) / math.sqrt(len(values))


def _ordered() -> list[Rule]:
    return sorted(rules.values(), key=lambda rule: (rule.order, rule.code))


def _judged(evidence: Evidence) -> dict[str, Answer]:
    """Return what each rule says of one draw, causes first; what a cause has said already is not said again."""
    answers: dict[str, Answer] = {}
    for rule in _ordered():
        answer = rule.judge(evidence)
        cause = _cause(rule, answer, answers) if isinstance(answer, Observation) else None
        answers[rule.code] = Silence("clear", f"{cause} is the cause and says it") if cause else answer
    return answers


def _cause(rule: Rule, effect: Observation, earlier: Mapping[str, Answer]) -> str | None:
    """Return the rule of an earlier order that warns, no less gravely, of what an observation comes from."""
    for code, answer in earlier.items():
        known = rules[code].symptom in rule.told_by and rules[code].order < rule.order
        if not known or not isinstance(answer, Observation) or answer.severity is Severity.INFO:
            continue
        if RANK[answer.severity] >= RANK[effect.severity]:
            return code
    return None


def _shown(answers: Mapping[str, Answer]) -> Shown:
    return {code: answer.severity for code, answer in answers.items() if isinstance(answer, Observation)}


def _finding(rule: Rule, severity: Severity, answers: Sequence[Answer], draws: Sequence[Shown]) -> Finding:
    """Tell what one draw shows: the first that is as grave as all of them together, else the gravest."""
    fired = [answer for answer in answers if isinstance(answer, Observation)]
    told = min(fired, key=lambda answer: (answer.severity is not severity, -RANK[answer.severity]))
    return Finding(
        code=rule.code,
        symptom=rule.symptom,
        severity=severity,
        title=rule.title,
        explanation=f"{told.explanation}{_disagreement(rule.code, severity, draws, _unsure(answers))}",
        places=told.places,
        evidence=dict(told.evidence),
        confidence=min(max(told.confidence * len(fired) / len(answers), 0.0), 1.0),
        docs=f"/v1/rules/{rule.code}",
    )


def _spread(finding: Finding, showing: int, evidences: Sequence[Evidence]) -> Finding:
    """Return the finding with how many of several draws show it, and the error of a gain over all of them."""
    if len(evidences) == 1:
        return finding
    added = {"seeds": float(len(evidences)), "seeds_showing": float(showing)}
    gains = [evidence.gain.total for evidence in evidences if evidence.gain is not None]
    error = standard_error(gains) if "standard_error" in finding.evidence else None
    if error is not None:
        added["standard_error_over_seeds"] = error
    return finding.model_copy(
        update={"evidence": finding.evidence | added, "seeds": Seeds(of=len(evidences), showing=showing)}
    )


def _unsure(answers: Sequence[Answer]) -> int:
    """Return how many draws could not be judged."""
    return sum(isinstance(answer, Silence) and answer.status == "could_not_judge" for answer in answers)


def _disagreement(code: str, severity: Severity, draws: Sequence[Shown], unsure: int) -> str:
    """Say what the draws do not agree about, where it decides something."""
    gravest = max((draw[code] for draw in draws if code in draw), key=RANK.__getitem__)
    alone = failing([{code: draw[code]} if code in draw else {} for draw in draws], gravest)
    if gravest is Severity.INFO or 2 * alone > len(draws):
        return ""
    one, many = _VERBS[gravest]
    said = f"{alone} of {len(draws)} draws {one if alone == 1 else many} by this"
    if severity is not gravest:
        but = f", and {unsure} cannot be judged" if unsure else ""
        return f" Only {said}{but}, so it counts as {_COUNTS[severity]}."
    others = [other for other in reaching(draws, gravest) if other != code]
    return f" {said}; with {' and '.join(others)} it is {failing(draws, gravest)} of {len(draws)}, which decides."


def _coverage(rule: Rule, answers: Sequence[Answer], *, fired: bool) -> Coverage:
    if fired:
        return Coverage(code=rule.code, status="fired")
    silences = [answer for answer in answers if isinstance(answer, Silence)]
    sure = [silence for silence in silences if silence.status != "could_not_judge"]
    unsure = [silence for silence in silences if silence not in sure]
    told = [*sure, *unsure] if 2 * len(sure) >= len(answers) else [*unsure, *sure]
    return Coverage(code=rule.code, status=told[0].status, reason=told[0].reason)
