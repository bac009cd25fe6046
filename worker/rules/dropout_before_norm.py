"""Finds batch norms whose statistics a dropout shifts."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_at, rule, some


@rule("NRM03", Symptom.NORMALIZATION_MISUSE, order=12, aliases=["variance shift", "dropout before batch norm"])
def dropout_before_norm(evidence: Evidence) -> Answer:
    """A batch norm stands behind a dropout.

    What it measures
        Batch norms that read what a dropout gives, past activations, pools and one weight layer at most.

    Why it matters
        Dropout at rate p makes the variance of what has mean zero 1/(1 − p) times as large, but in training alone.  The
        running variance learns that, and is too large in evaluation.

    When it is wrong
        At small rates, or with wide layers between, the shift is small; statistics taken anew without dropout mend it.
        It is a note, never more.

    References
        Li et al. 2019 (arXiv 1801.05134): the disharmony between dropout and batch normalization by variance shift.
    """
    if not any(place.op == "BatchNormalization" for place in evidence.places):
        return Silence("not_applicable", "the model has no batch norm")
    found = sorted(evidence.structure.dropped, key=lambda spot: -spot.measured)
    if not found:
        return CLEAR
    worst = found[0]
    norms = some(len(found), "batch norm stands", "batch norms stand")
    return Observation(
        f"{norms} behind a dropout: {evidence.called(worst.node)} learns the variance of what a dropout of "
        f"{worst.measured:.2g} leaves, and evaluation gives it up to {1 - worst.measured:.2g} times that.",
        Severity.INFO,
        places_at(found),
        {"norms": len(found), "rate": worst.measured},
    )
