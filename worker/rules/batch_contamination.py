"""Finds networks in which samples of a batch reach each other's outputs."""

from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, place_at, rule, weigh


@rule(
    "BAT01",
    Symptom.STRUCTURE_FAULT,
    order=16,
    aliases=["batch contamination", "mixing data across the batch"],
    told_by=[Symptom.LOSS_MISMATCH],
)
def batch_contamination(evidence: Evidence, *, share: float = 0.1, trace: float = 1e-3) -> Answer:
    """A sample's output depends on the other samples of its batch.

    What it measures
        In eval mode, how far the outputs of half of the batch change when the other half is exchanged, by the standard
        deviation of the outputs: over 10% warns, over 0.1% is noted.

    Why it matters
        A reshape where a transpose was meant, attention along the batch, a softmax or a mean over it: the network
        learns from answers that it will not have when it is used on one sample.

    When it is wrong
        Batch norms are in eval mode here, where samples do not meet.  Networks that compare the rows of a batch on
        purpose (pairs of a contrastive loss, nodes of a graph, positions of one sequence in the place of a batch) are
        left out where the shapes show it; a discriminator that measures the diversity of its batch, and a batch norm
        written out by hand, are not recognized.  Where a file fixes the length of its first axis, that may count nodes
        or steps as well as samples, and it is a note.

    References
        Karpathy 2019, A Recipe for Training Neural Networks ("use backprop to chart dependencies").
    """
    mixing = evidence.mixing
    if mixing is None:
        return Silence("could_not_judge", "the outputs are not finite; see NUM01")
    if mixing.unjudged:
        return Silence("could_not_judge", mixing.unjudged)
    if mixing.change <= trace:
        return CLEAR
    if mixing.purpose:
        return Silence("not_applicable", f"samples meet, but {mixing.purpose}")
    place = mixing.where or evidence.loss.head_node
    limit = share if mixing.change > share else trace
    other = " The file fixes how long its first axis is: if that counts samples, this is a fault." * mixing.fixed
    return Observation(
        f"When half of the samples are exchanged, the outputs of the others change by {mixing.change:.1%} of their "
        f"standard deviation, in eval mode ({limit:.1%} is the limit): samples reach each other at "
        f"{evidence.called(place)}, or before.{other}",
        weigh(evidence) if mixing.change > share and not mixing.fixed else Severity.INFO,
        (place_at(evidence, place, mixing.change, limit),),
        {"change": mixing.change},
    )
