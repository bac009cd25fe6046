"""Finds activations that read nothing but another activation."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_at, rule, some


@rule("ACT01", Symptom.STRUCTURE_FAULT, order=12, aliases=["redundant activation"])
def repeated_activation(evidence: Evidence) -> Answer:
    """An activation reads nothing but another activation's output.

    What it measures
        Two activations of one kind in a row, or two that squash (tanh, sigmoid, softsign), with nothing between them
        that mixes or scales.

    Why it matters
        A second ReLU does nothing; a second sigmoid or tanh squeezes what is squeezed already, and its slope shrinks
        the gradient once more.

    When it is wrong
        Activations that are written as several operators (Mish, hard swish, a log of a sigmoid) are told apart as far
        as their parts are of different kinds.  It is a note, never more.

    References
        Nikanjam et al. 2021 (NeuraLint); Glorot and Bengio 2010: what a squashing activation takes from a gradient.
    """
    if not evidence.structure.layers:
        return Silence("not_applicable", "the model has no weight layer")
    found = evidence.structure.repeated
    if not found:
        return CLEAR
    first = found[0]
    number = some(len(found), "activation reads", "activations read")
    return Observation(
        f"{number} nothing but another one's output: {evidence.called(first.node, first.op)} follows "
        f"{evidence.called(first.also)}.",
        Severity.INFO,
        places_at(found),
        {"activations": len(found)},
    )
