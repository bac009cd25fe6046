"""Finds networks that are too deep for their width."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, place_at, rule, ungained


@rule(
    "DEP01",
    Symptom.STRUCTURE_FAULT,
    order=47,
    aliases=["depth-to-width ratio"],
    told_by=[Symptom.VANISHING_GRADIENT, Symptom.SATURATED_UNITS, Symptom.DEAD_UNITS],
)
def depth_for_width(evidence: Evidence, *, crowded: float = 4.0) -> Answer:
    """The network is too deep for its width.

    What it measures
        Σ κ/n over the hidden layers: n their features, κ 5 for rectifiers and 2 for linear ones, measured from the
        slopes that the activations have on this batch.  It is the variance of the gradient's gain over draws of the
        weights; above 4 it counts.

    Why it matters
        Two draws of the same network then differ by e² and more in the size of their gradients, and the typical one
        vanishes by half of this number, however well the variance of its weights is chosen.

    When it is wrong
        A network that is already trained has left chance behind.  It is a note, never more.

    References
        Hanin and Nica 2018 (arXiv 1812.05994); Hanin 2018 (arXiv 1801.03744).
    """
    gain = evidence.gain
    if gain is None:
        return ungained(evidence)
    if gain.crowding <= crowded:
        return CLEAR
    start = gain.segments[0].start
    return Observation(
        f"For its width the network is deep: depth by width, weighted by the activations, comes to {gain.crowding:.1f} "
        f"({crowded:g} is the limit), so that draws of its weights differ by a factor of e^{gain.sampling:.1f} in the "
        "square of the gradient.",
        Severity.INFO,
        (place_at(evidence, start, gain.crowding, crowded),),
        {"crowding": gain.crowding},
    )
