"""Finds inputs that were not brought to unit scale."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence, InputEvidence
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, weigh


@rule("INP01", Symptom.INPUT_SCALE, order=25, aliases=["NotNormalizedData", "unnormalized input"])
def input_scale(evidence: Evidence, *, decades: float = 1.5) -> Answer:
    """An input is far from unit scale.

    What it measures
        The root mean square of each float input against 1, in decades: beyond ±1.5 (under 0.03 or over 30) it counts.
        Where the network begins with arithmetic on constants, such as a rescaling, what comes out of that counts; where
        most numbers are zeros, as in a bag of words, the others are measured alone if the whole is small.

    Why it matters
        Every initialization assumes inputs of unit scale; the first layer's gradient grows with the input, so one
        learning rate cannot serve it and the others.

    When it is wrong
        A norm right at the front, or behind the first weights, takes the scale away, on the way forward and from the
        gradient: then the rule does not apply.  Nor does it where an input is a time or a position that only sines and
        cosines read.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.3.
    """
    if evidence.synthetic or not evidence.inputs:
        return Silence("not_applicable", "the batch was drawn" if evidence.inputs else "no input is a float")
    if all(given.nonfinite == 1 for given in evidence.inputs):
        return Silence("could_not_judge", "no number of the batch is finite; see NUM01")
    judged = [given for given in evidence.inputs if not (given.normalized or given.positions or given.scaleless)]
    if not judged:
        return Silence("not_applicable", "a norm, or a sine of it, stands between every input and what follows")
    low, high = 10**-decades, 10**decades
    found = [(given, size) for given in judged if not low <= (size := _size(given, low)) <= high and size > 0]
    if not found:
        return CLEAR
    given, size = max(found, key=lambda pair: max(pair[1], 1 / pair[1]))
    return Observation(
        f"{_called(given)} has a root mean square of {size:.3g}; {low:.2g} to {high:.3g} is usual.",
        weigh(evidence),
        tuple(
            Place(node=each.name, measured=size, limit=high if size > 1 else low) for each, size in found[:SHOWN_PLACES]
        ),
        {"rms": given.rms, "mean": given.mean, "std": given.std},
    )


def _size(given: InputEvidence, low: float) -> float:
    """Return the root mean square, without the zeros where they alone make it small."""
    sparse = given.zero > 1 / 2 and given.active is not None
    return given.active if sparse and given.active is not None and given.rms < low else given.rms


def _called(given: InputEvidence) -> str:
    if given.rescaled:
        return f"What the network's own rescaling leaves of the input {given.name!r}"
    return f"The input {given.name!r}"
