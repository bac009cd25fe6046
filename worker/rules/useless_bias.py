"""Finds biases that a norm takes away again."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_at, rule, some

_CENTRING = frozenset({"BatchNormalization", "InstanceNormalization"})


@rule("NRM01", Symptom.NORMALIZATION_MISUSE, order=12, aliases=["bias before normalization"])
def useless_bias(evidence: Evidence) -> Answer:
    """A bias stands right before a norm that takes it away.

    What it measures
        Weight layers with a trainable bias whose output a batch or instance norm reads as it is: subtracting each
        channel's mean removes whatever was added to the channel.

    Why it matters
        The bias changes nothing and its gradient is zero but for rounding: memory and time for nothing, and noise that
        adaptive optimizers blow up.  The norm's own shift does its work.

    When it is wrong
        In evaluation the running mean stands in for the batch's, so a bias of a trained file must stay where it is.
        Networks train as well with it as without.  It is a note, never more.

    References
        Ioffe and Szegedy 2015 (arXiv 1502.03167), section 3.2; Nikanjam et al. 2021 (NeuraLint).
    """
    if not any(place.op in _CENTRING for place in evidence.places):
        return Silence("not_applicable", "the model has no batch or instance norm")
    found = evidence.structure.biased
    if not found:
        return CLEAR
    first, count = found[0], sum(int(each.measured) for each in found)
    layers = some(len(found), "weight layer has", "weight layers have")
    return Observation(
        f"{layers} a bias right before a norm that takes it away, {evidence.called(first.node)} first: {count} numbers "
        "that no step can use.",
        Severity.INFO,
        places_at(found),
        {"layers": len(found), "numbers": count},
    )
