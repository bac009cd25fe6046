"""Finds squashing activations that sit on their flat ends."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, weigh


@rule("UNT02", Symptom.SATURATED_UNITS, order=30, aliases=["SaturatedActivation", "activation out of range"])
def saturated_units(evidence: Evidence, *, share: float = 0.5) -> Answer:
    """Activations sit on their flat ends.

    What it measures
        The share of pre-activations where the slope of tanh or sigmoid is under a tenth of its largest: |z| beyond
        1.82 for tanh and 3.64 for sigmoid.  More than half of a layer is too much.

    Why it matters
        On the flat ends almost no gradient passes, and what passes no longer depends on the input.

    When it is wrong
        A gate may rest open or shut, and an output that is confident saturates by right: the head is left out, and so
        are gates (a sigmoid that multiplies another signal counts only if the training trial fails too).

    References
        Glorot and Bengio 2010, section 3; SageMaker Debugger's SaturatedActivation.
    """
    hidden = [p for p in evidence.places if p.activation.saturated is not None and p.node != evidence.loss.head_node]
    if not hidden:
        return Silence("not_applicable", "no hidden activation has two flat ends")
    found = [
        (place, place.activation.saturated or 0.0) for place in hidden if (place.activation.saturated or 0.0) > share
    ]
    if not found:
        return CLEAR
    found.sort(key=lambda pair: -pair[1])
    worst, measured = found[0]
    return Observation(
        f"{len(found)} of {len(hidden)} squashing layers are saturated; in {evidence.called(worst.node)} "
        f"{measured:.0%} of the inputs of {worst.op} lie where its slope is under a tenth of the largest "
        f"({share:.0%} is the limit).",
        weigh(evidence),
        tuple(Place(node=p.node, origin=p.origin, measured=value, limit=share) for p, value in found[:SHOWN_PLACES]),
        {"saturated": measured, "layers": len(found)},
    )
