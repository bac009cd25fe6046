"""Finds heads that do not fit their loss."""

from collections.abc import Iterator

from service.contract.report import Place
from service.contract.words import LossName, Symptom
from worker.probe.evidence import Evidence, LossEvidence
from worker.rules import CLEAR, Answer, Observation, rule, weigh


@rule("LOS01", Symptom.LOSS_MISMATCH, order=15, aliases=["output-loss mismatch", "double softmax"])
def loss_mismatch(evidence: Evidence, *, share: float = 0.05) -> Answer:
    """The head does not fit the loss.

    What it measures
        The last operator against the loss that the caller named: a softmax or sigmoid before a loss that applies
        its own, a loss on probabilities that gets something else, a softmax over one unit or over the batch; and
        the share of targets outside what the head can give (5% is the limit).

    Why it matters
        Such a pair trains slowly, to a wrong place, or not at all, and no initialization mends it.

    When it is wrong
        A double softmax still trains, more slowly; it rejects only if the training trial fails too.

    References
        UMLAUT (Schoop et al. 2021) and NeuraLint (Nikanjam et al. 2021) check these pairs.
    """
    found = next(_mismatches(evidence.loss, share), None)
    if found is None:
        return CLEAR
    certain, sentence, measured = found
    return Observation(
        sentence,
        weigh(evidence, certain=certain),
        (_place(evidence, measured, share),),
        {"initial_loss": evidence.loss.value, "chance": evidence.loss.chance, "unreachable": evidence.loss.unreachable},
    )


def _place(evidence: Evidence, measured: float, limit: float) -> Place:
    head = evidence.loss.head_node
    return Place(node=head, origin=evidence.origins.get(head), measured=measured, limit=limit)


def _mismatches(loss: LossEvidence, share: float) -> Iterator[tuple[bool, str, float]]:
    """Yield what is wrong, the surest first: whether it is certain, the sentence, the number."""
    if loss.head == "Softmax" and loss.head_width == 1:
        yield True, "The model ends in a softmax over a single unit, whose output is always 1: it has no gradient.", 1.0
    if loss.head in {"Softmax", "LogSoftmax"} and loss.head_axis == 0 and loss.output_rank > 1:
        yield (
            True,
            "The softmax runs over the batch instead of over the classes, so samples compete with each other.",
            0.0,
        )
    if loss.unreachable > share:
        yield (
            loss.unreachable > 1 - share,
            f"{loss.unreachable:.0%} of the targets lie outside what {loss.head} can give; {share:.0%} is the limit.",
            loss.unreachable,
        )
    if loss.declared:
        yield from _wrong_pairs(loss)


def _wrong_pairs(loss: LossEvidence) -> Iterator[tuple[bool, str, float]]:
    """Yield pairs of head and named loss that do not go together."""
    pairs = {
        (LossName.CROSS_ENTROPY, "Softmax"): "cross_entropy applies a softmax of its own; give it the logits",
        (LossName.CROSS_ENTROPY, "Sigmoid"): "cross_entropy expects logits; a sigmoid squeezes them into 0 to 1",
        (LossName.CROSS_ENTROPY, "Relu"): "cross_entropy expects logits of both signs; a rectifier cuts one off",
        (LossName.BCE_WITH_LOGITS, "Sigmoid"): "bce_with_logits applies a sigmoid of its own; give it the logits",
        (LossName.BCE_WITH_LOGITS, "Softmax"): "bce_with_logits expects logits; a softmax already made probabilities",
        (LossName.BCE, "Tanh"): "bce expects probabilities; tanh gives numbers from -1 to 1",
        (LossName.NLL, "Softmax"): "nll expects log-probabilities; a softmax gives probabilities",
    }
    if (LossName(loss.name), loss.head) in pairs:
        yield False, f"The model ends in {loss.head}, but {pairs[LossName(loss.name), loss.head]}.", 0.0
    if loss.name == LossName.BCE and (loss.output_low < 0 or loss.output_high > 1):
        spans = f"{loss.output_low:.3g} to {loss.output_high:.3g}"
        yield True, f"bce expects probabilities; the output spans {spans}.", loss.output_high
    if loss.name == LossName.PROBABILITY_CROSS_ENTROPY and (loss.output_low < 0 or loss.output_high > 1):
        spans = f"{loss.output_low:.3g} to {loss.output_high:.3g}"
        yield (
            True,
            f"The loss expects probabilities (from_logits is false); the output spans {spans}.",
            loss.output_high,
        )
    if loss.name == LossName.NLL and loss.output_high > 0:
        yield (
            True,
            f"nll expects log-probabilities, at most 0; the output reaches {loss.output_high:.3g}.",
            loss.output_high,
        )
