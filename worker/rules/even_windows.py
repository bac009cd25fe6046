"""Finds even windows that shift their maps."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_at, rule


@rule("ARC03", Symptom.STRUCTURE_FAULT, order=12, aliases=["even kernel"])
def even_windows(evidence: Evidence, *, shift: float = 1.0) -> Answer:
    """Even windows pad more on one side than on the other, and shift what they read.

    What it measures
        Convolutions of stride 1 whose padding is one position longer on one side, as "same" makes it for even windows;
        each shifts its map by half a position.  From two of them on, a whole position, it is a note.

    Why it matters
        The shifts add up in one direction: features drift to a corner, and skips join what no longer lies together.

    When it is wrong
        Where position does not matter (a global pool at the end) a drift costs only the border.  Causal windows, which
        pad before the start alone, mean it.  It is a note, never more.

    References
        Wu et al. 2019 (arXiv 1903.08385): convolution with even-sized kernels and symmetric padding.
    """
    if not any(place.op == "Conv" for place in evidence.places):
        return Silence("not_applicable", "the model has no convolution")
    found = evidence.structure.lopsided
    drift = sum(each.measured for each in found)
    if drift < shift:
        return CLEAR
    return Observation(
        f"{len(found)} convolutions with even windows pad one side more than the other, "
        f"{evidence.called(found[0].node)} first; together they may shift a map by {drift:g} "
        f"(in positions; {shift:g} is the limit).",
        Severity.INFO,
        places_at(found, shift),
        {"layers": len(found), "shift": drift},
    )
