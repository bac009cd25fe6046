"""Rules on what takes many passes and on precision, on evidence made up for them."""

from dataclasses import replace

import pytest

from service.contract.words import Severity
from tests.probe.subjects import chain, dense, described
from worker.probe.evidence import Evidence, Overflow, PrecisionEvidence, Rounding, Training
from worker.probe.measure import probe
from worker.rules import Answer, Observation, Silence, rules

WARNING, INFO = Severity.WARNING, Severity.INFO
HEALTHY: Evidence = probe(described(chain(3, dense(32), {"kind": "relu"})))
KERNEL = Rounding("w", "n", 100, 1e-4, flushed=0.0, lost=1e-4, moving=100, stalled=0.0, matrix=True)
HALF = PrecisionEvidence("float16", 65504.0, 2**-25, (), (KERNEL,))
TRAINED = Training((), 200, complete=True, converged=True, judged=True)


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


def rounded(**changes: object) -> Evidence:
    weights = (KERNEL, replace(KERNEL, **changes))  # type: ignore[arg-type]
    return replace(HEALTHY, precision=replace(HALF, weights=weights))


def test_precision_is_no_matter_in_float32() -> None:
    assert status("NUM02", HEALTHY) == "not_applicable"
    assert status("NUM02", replace(HEALTHY, precision=HALF)) == "clear"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lost": 0.45, "flushed": 0.9}, None),
        ({"lost": 0.55, "flushed": 0.9}, WARNING),
        ({"lost": 1.0, "flushed": 1.0, "matrix": False}, None),
        ({"stalled": 0.9}, None),
        ({"stalled": 1.0, "moving": 200}, INFO),
        ({"stalled": 1.0, "moving": 2000}, WARNING),
    ],
)
def test_a_format_is_warned_of_where_a_kernels_gradient_or_most_steps_are_lost(
    changes: dict[str, object], expected: Severity | None
) -> None:
    assert severity("NUM02", rounded(**changes)) is expected


def test_small_gradients_of_a_trained_model_are_told_without_a_warning() -> None:
    sick = rounded(lost=0.9, flushed=0.9)
    assert severity("NUM02", replace(sick, training=TRAINED)) is INFO


def test_an_overflow_warns_and_names_the_first_value_and_the_worst() -> None:
    overflows = tuple(Overflow(f"n{index}", "Gemm", 0.1, size) for index, size in enumerate((7e4, 9e9, 8e4)))
    answer = judge("NUM02", replace(HEALTHY, precision=replace(HALF, overflows=overflows)))
    assert isinstance(answer, Observation)
    assert answer.severity is WARNING
    assert [place.node for place in answer.places] == ["n0", "n1"]
    assert answer.explanation.startswith("3 values overflow float16, whose largest number is 65504")
