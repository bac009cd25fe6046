"""What a rule answers on evidence, as tests ask for it."""

from typing import Any

from service.contract.words import Severity
from worker.course import Run
from worker.probe.evidence import Evidence, Training
from worker.rules import Answer, Observation, Silence, rules


def judge(code: str, evidence: Evidence) -> Answer:
    return rules[code].judge(evidence)


def severity(code: str, evidence: Evidence) -> Severity | None:
    """Return how gravely a rule speaks; None where it is silent."""
    answer = judge(code, evidence)
    return answer.severity if isinstance(answer, Observation) else None


def status(code: str, evidence: Evidence) -> str:
    answer = judge(code, evidence)
    assert isinstance(answer, Silence)
    return answer.status


def training(*runs: Run, **given: Any) -> Training:  # noqa: ANN401
    """Return a whole trial of these runs."""
    return Training(**{"runs": runs, "steps": 200, "complete": True, "converged": False, "judged": True, **given})
