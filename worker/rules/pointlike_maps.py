"""Finds convolutions over maps that have shrunk to a point."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, among, places_at, rule


@rule("ARC02", Symptom.STRUCTURE_FAULT, order=12, aliases=["feature map too small"])
def pointlike_maps(evidence: Evidence) -> Answer:
    """Convolutions slide a window over a map of a single position.

    What it measures
        Convolutions whose window spans several positions while their input, on this batch, has one: all weights but
        those in its middle see padding.

    Why it matters
        Weights that see padding receive no gradient and cost time in every step; the network has shrunk its maps
        sooner than its depth can use them.

    When it is wrong
        On larger inputs than the batch's the same layers see more than one position.  A network built for large images
        that is tried on small ones looks so.  It is a note, never more.

    References
        He et al. 2016 (arXiv 1512.03385): maps of 7 × 7 at the last stage; Richter et al. 2021 (arXiv 2106.12307).
    """
    if not any(place.op == "Conv" for place in evidence.places):
        return Silence("not_applicable", "the model has no convolution")
    found = evidence.structure.pointlike
    if not found:
        return CLEAR
    first = found[0]
    convolutions = sum(place.op == "Conv" for place in evidence.places)
    return Observation(
        f"{among(len(found), convolutions, 'convolutions', 'slides', 'slide')} over a map of one position: of the "
        "weights of "
        f"{evidence.called(first.node)} only {first.measured:.0%} ever see anything but padding.",
        Severity.INFO,
        places_at(found, 1.0),
        {"layers": len(found), "share": first.measured},
    )
