"""The rules on units and attention, on evidence made up for them: where each begins to speak, and how gravely."""

from dataclasses import replace
from typing import Any

import pytest

from service.contract.words import Severity
from tests.probe.subjects import chain, dense, described
from tests.rules.asking import severity, status
from worker.diagnose import diagnose
from worker.probe.evidence import AttentionEvidence, Evidence, Units
from worker.probe.measure import probe

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
RECTIFIED: Evidence = probe(described(chain(2, dense(32), {"kind": "relu"})))
SQUASHED: Evidence = probe(described(chain(2, dense(32), {"kind": "tanh"})))


def units(samples: int = 64, **given: Any) -> Evidence:  # noqa: ANN401
    """Return evidence whose rectifiers all show the same."""
    base = {"count": 64, "dead": 0.0, "expected": 0.0, "excess": 0.0, "samples": samples}
    shown = Units(**{**base, **given})
    places = tuple(replace(place, units=shown if place.units else None) for place in RECTIFIED.places)
    return replace(RECTIFIED, places=places, samples=samples)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"dead": 0.5, "excess": 0.4, "hopeless_excess": 0.21}, WARNING),
        ({"dead": 0.5, "excess": 0.4, "hopeless_excess": 0.19}, None),
        ({"dead": 0.5, "excess": 0.19, "hopeless_excess": 0.4}, None),
        ({"dead": 0.9, "excess": 0.8, "hopeless_excess": 0.0}, None),
        ({"dead": 1.0, "count": 10}, ERROR),
        ({"dead": 1.0, "count": 9}, None),
        ({"dead": 1.0, "count": 9, "excess": 0.9, "hopeless_excess": 0.9}, WARNING),
        ({"dead": 1.0, "blank": True}, None),
    ],
)
def test_units_are_dead_beyond_chance_and_for_good(given: dict[str, Any], expected: Severity | None) -> None:
    assert severity("UNT01", units(**given)) is expected


def test_on_few_samples_nothing_is_said_of_dead_units() -> None:
    assert status("UNT01", units(samples=31, dead=1.0, hopeless=1.0)) == "could_not_judge"
    assert status("UNT01", SQUASHED) == "not_applicable"


def squashed(saturated: float, **given: Any) -> Evidence:  # noqa: ANN401
    places = tuple(
        replace(each, activation=replace(each.activation, saturated=saturated, stuck=0.5, slope=0.1), **given)
        if each.activation.saturated is not None
        else each
        for each in SQUASHED.places
    )
    return replace(SQUASHED, places=places)


def test_more_than_half_of_a_layer_on_flat_ends_is_saturated_unless_it_gates() -> None:
    assert severity("UNT02", squashed(0.51)) is WARNING
    assert severity("UNT02", squashed(0.49)) is None
    assert status("UNT02", squashed(0.99, gate=True)) == "not_applicable"
    assert status("UNT02", RECTIFIED) == "not_applicable"


def attention(*heads: float, logit: float = 1.0, drawn: bool = True) -> Evidence:
    measured = AttentionEvidence(sum(heads) / len(heads), heads, logit)
    even = AttentionEvidence(0.9, (0.9,), 1.0)
    return replace(RECTIFIED, attention={"a": even, "b": measured}, drawn=drawn)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (attention(0.09), WARNING),
        (attention(0.11), None),
        (attention(0.9, 0.9, 0.09), WARNING),
        (attention(0.9, 0.9, 0.09, drawn=False), INFO),
        (attention(0.05, 0.09, drawn=False), WARNING),
    ],
)
def test_attention_under_a_tenth_of_its_entropy_has_collapsed(evidence: Evidence, expected: Severity | None) -> None:
    assert severity("ATT01", evidence) is expected


def test_large_scores_are_a_note_unless_their_collapse_is_told() -> None:
    assert severity("ATT02", attention(0.5, logit=51.0)) is INFO
    assert severity("ATT02", attention(0.5, logit=49.0)) is None
    assert status("ATT02", RECTIFIED) == "not_applicable"
    codes = {finding.code for finding in diagnose([attention(0.05, logit=500.0)])[0]}
    assert codes & {"ATT01", "ATT02"} == {"ATT01"}


def test_the_weights_of_a_state_that_is_never_used_are_a_note() -> None:
    """Of a reversed direction whose last output alone is read, the weights of the state meet a state of zero."""
    base = replace(RECTIFIED.parameters[0], name="reverse", node="gru", op="GRU", state="dead", blocked_at="gru")
    live = replace(RECTIFIED.parameters[0], name="other")
    assert severity("GRD03", replace(RECTIFIED, parameters=(live, base))) is INFO
    assert severity("GRD03", replace(RECTIFIED, parameters=(live, live, replace(base, op="Gemm")))) is WARNING
    assert severity("GRD03", replace(RECTIFIED, parameters=(live, live, replace(base, blocked_at="other")))) is WARNING
