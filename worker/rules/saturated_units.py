"""Finds squashing activations that sit on their flat ends."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, among, rule, weigh


@rule("UNT02", Symptom.SATURATED_UNITS, order=30, aliases=["SaturatedActivation", "activation out of range"])
def saturated_units(evidence: Evidence, *, share: float = 0.5) -> Answer:
    """Activations sit on their flat ends.

    What it measures
        The share of pre-activations where the slope of tanh or sigmoid is under a tenth of its largest: |z| beyond
        1.82 for tanh and 3.64 for sigmoid.  More than half of a layer is too much.  Beside it stand the share of units
        that are there for nearly all samples, and E[φ'²] by the largest φ'²: what the layer lets through.

    Why it matters
        On the flat ends almost no gradient passes, and what passes no longer depends on the input.

    When it is wrong
        A gate may rest open or shut, and an output that is confident saturates by right: the head is left out, and so
        is what multiplies another signal.

    References
        Glorot and Bengio 2010, section 3; SageMaker Debugger's SaturatedActivation.
    """
    hidden = [p for p in evidence.places if p.activation.saturated is not None and p.node != evidence.loss.head_node]
    judged = [place for place in hidden if not place.gate]
    if not judged:
        reason = "what has two flat ends is a gate" if hidden else "no hidden activation has two flat ends"
        return Silence("not_applicable", reason)
    found = [
        (place, place.activation.saturated or 0.0) for place in judged if (place.activation.saturated or 0.0) > share
    ]
    if not found:
        return CLEAR
    found.sort(key=lambda pair: -pair[1])
    worst, measured = found[0]
    stuck, slope = worst.activation.stuck or 0.0, worst.activation.slope
    passed = "" if slope is None else f", and {slope:.1%} of the gradient's power passes"
    return Observation(
        f"{among(len(found), len(judged), 'squashing layers', 'is', 'are')} saturated; in "
        f"{evidence.called(worst.node)} {measured:.0%} of the inputs of {worst.op} lie where its slope is under a "
        f"tenth of the largest ({share:.0%} is the limit): {stuck:.0%} of the units for nearly all samples{passed}.",
        weigh(evidence),
        tuple(Place(node=p.node, origin=p.origin, measured=value, limit=share) for p, value in found[:SHOWN_PLACES]),
        {"saturated": measured, "stuck": stuck, "slope": 1.0 if slope is None else slope, "layers": len(found)},
    )
