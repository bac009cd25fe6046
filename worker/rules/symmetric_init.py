"""Finds layers whose units are copies of one another."""

from service.contract.words import Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_of, rule, weigh


@rule("INI01", Symptom.SYMMETRIC_INIT, order=10, aliases=["PoorWeightInitialization"])
def symmetric_init(evidence: Evidence) -> Answer:
    """All units of a layer are copies of one another.

    What it measures
        Weight layers with two units or more whose weights are equal from unit to unit, and whose outputs are equal for
        every sample; and whether the units receive the same gradient, so that no step can part them.  Where weights are
        all zero, that gradient is taken once a step has opened what they shut, and only equal gradients count.

    Why it matters
        Copies learn the same thing: however wide, the layer counts for one unit.

    When it is wrong
        Branches and heads start at zero by design; their units part with the first step, so they are left alone.  A
        layer of fixed filters that a file declares trainable (a blur) looks like this only if its input channels are
        equal too.

    References
        Goodfellow et al. 2016, Deep Learning, section 8.4: breaking symmetry.
    """
    if not evidence.parameters:
        return Silence("not_applicable", "the model has no parameters that training changes")
    layers = [parameter for parameter in evidence.parameters if parameter.units > 1]
    if not layers:
        return Silence("not_applicable", "no weight layer has two units")
    found = [parameter for parameter in layers if parameter.identical]
    if not found:
        return CLEAR
    kept = [parameter for parameter in found if parameter.symmetric]
    how = "and the gradient is the same for each, so training cannot part them" if kept else "at the start"
    first = found[0]
    return Observation(
        f"In {len(found)} of {len(layers)} weight layers all units compute the same: the {first.units} units of "
        f"{evidence.called(first.node)} are copies {how}.",
        weigh(evidence, certain=True),
        places_of(found),
        {"layers": len(found), "share": len(found) / len(layers)},
    )
