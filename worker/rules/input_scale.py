"""Finds inputs that were not brought to unit scale."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, rule, weigh

_NORMS = frozenset({"BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization"})


@rule("INP01", Symptom.INPUT_SCALE, order=25, aliases=["NotNormalizedData", "unnormalized input"])
def input_scale(evidence: Evidence, *, decades: float = 1.5) -> Answer:
    """An input is far from unit scale.

    What it measures
        The root mean square of each float input against 1, in decades: beyond ±1.5 (under 0.03 or over 30) it counts.

    Why it matters
        Every initialization assumes inputs of unit scale; the first layer's gradient grows with the input, so one
        learning rate cannot serve it and the others.

    When it is wrong
        A norm right at the front takes the scale away; then the rule does not apply.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.3.
    """
    first = next((place.op for place in evidence.places), "")
    if first in _NORMS or not evidence.inputs:
        return Silence("not_applicable", "a norm stands in front" if evidence.inputs else "no input is a float")
    low, high = 10**-decades, 10**decades
    found = [given for given in evidence.inputs if given.rms > 0 and not low <= given.rms <= high]
    if not found:
        return CLEAR
    return Observation(
        f"Input {found[0].name} has a root mean square of {found[0].rms:.3g}; {low:.2g} to {high:.3g} is usual.",
        weigh(evidence),
        tuple(Place(node=given.name, measured=given.rms, limit=high if given.rms > 1 else low) for given in found),
        {"rms": found[0].rms, "mean": found[0].mean, "std": found[0].std},
    )
