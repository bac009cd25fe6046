"""Finds heads that do not fit their loss."""

from collections.abc import Iterator
from math import isfinite
from types import MappingProxyType
from typing import Final, Literal

from service.contract.report import Place
from service.contract.words import LossName, Severity, Symptom
from worker.probe.evidence import Evidence, LossEvidence
from worker.rules import CLEAR, Answer, Observation, place_at, rule, weigh

_Weight = Literal["certain", "warns", "noted"]
_Mismatch = tuple[_Weight, str, float]
_RANK: Final = MappingProxyType({"certain": 0, "warns": 1, "noted": 2})
_ROUNDING: Final = 1e-4
"""By how much interpolation and float32 may take a probability beyond 0 and 1."""
_MAJORITY: Final = 0.5

_PAIRS: Final = MappingProxyType(
    {
        (LossName.CROSS_ENTROPY, "Softmax"): "cross_entropy applies a softmax of its own; give it the logits",
        (LossName.CROSS_ENTROPY, "Sigmoid"): "cross_entropy expects logits; a sigmoid squeezes them into 0 to 1",
        (LossName.CROSS_ENTROPY, "Tanh"): "cross_entropy expects logits; tanh squeezes them into -1 to 1",
        (LossName.CROSS_ENTROPY, "Relu"): "cross_entropy expects logits of both signs; a rectifier cuts one off",
        (LossName.BCE_WITH_LOGITS, "Sigmoid"): "bce_with_logits applies a sigmoid of its own; give it the logits",
        (LossName.BCE_WITH_LOGITS, "Softmax"): "bce_with_logits expects logits; a softmax already made probabilities",
        (LossName.BCE_WITH_LOGITS, "Tanh"): "bce_with_logits expects logits; tanh squeezes them into -1 to 1",
        (LossName.BCE_WITH_LOGITS, "Relu"): "bce_with_logits expects logits of both signs; a rectifier cuts one off",
        (LossName.BCE, "Tanh"): "bce expects probabilities; tanh gives numbers from -1 to 1",
        (LossName.BCE, "Relu"): "bce expects probabilities; a rectifier gives numbers beyond 1",
        (LossName.NLL, "Softmax"): "nll expects log-probabilities; a softmax gives probabilities",
    }
)
"""Heads and named losses that do not go together, and why."""
_UNNAMED: Final = MappingProxyType(
    {
        "Relu": ("warns", "and every target is a class: a rectifier cuts off one sign of the logits"),
        "Sigmoid": ("noted", "one for each class, and every target is one class: a softmax makes them exclusive"),
        "Tanh": ("noted", "and every target is a class: logits need more room than -1 to 1"),
    }
)
"""What is wrong with heads in front of classes, where nobody named the loss."""


@rule("LOS01", Symptom.LOSS_MISMATCH, order=15, aliases=["output-loss mismatch", "double softmax"])
def loss_mismatch(evidence: Evidence, *, share: float = 0.05) -> Answer:
    """The head does not fit the loss.

    What it measures
        The last operator against the loss that the caller named, or against the targets: a softmax or sigmoid before a
        loss that applies its own, a loss on probabilities that gets something else, a softmax over one unit or over
        the batch; and the share of targets outside what the head can give (5% is the limit; more than half is certain).

    Why it matters
        Such a pair trains slowly, to a wrong place, or not at all, and no initialization mends it.

    When it is wrong
        A double softmax still trains, more slowly; it rejects only if the training trial fails too.  Squared error, or
        the binary cross entropy, of a softmax is no fault, only slower than its own loss: it is noted.

    References
        UMLAUT (Schoop et al. 2021) and NeuraLint (Nikanjam et al. 2021) check these pairs; Golik et al. 2013, squared
        error after a softmax.
    """
    found = sorted(_mismatches(evidence, share), key=lambda each: _RANK[each[0]])
    if not found:
        return CLEAR
    weight, sentence, measured = found[0]
    return Observation(
        sentence,
        Severity.INFO if weight == "noted" else weigh(evidence, certain=weight == "certain"),
        (_place(evidence, measured, share),),
        {"initial_loss": evidence.loss.value, "chance": evidence.loss.chance, "unreachable": evidence.loss.unreachable},
    )


def _place(evidence: Evidence, measured: float, limit: float) -> Place:
    head = evidence.loss.head_node
    return place_at(evidence, head, measured, limit)


def _mismatches(evidence: Evidence, share: float) -> Iterator[_Mismatch]:
    """Yield what is wrong: how sure that is, the sentence, the number."""
    loss = evidence.loss
    yield from _degenerate(loss)
    if loss.unreachable > share:
        sure: _Weight = "certain" if loss.unreachable > _MAJORITY else "warns"
        low, high = loss.head_low, loss.head_high
        spans = f"{low:.4g} to {high:.4g}" if isfinite(high) else f"{low:.4g} and more"
        spans = spans if isfinite(low) else f"at most {high:.4g}"
        yield (
            sure,
            (
                f"{loss.unreachable:.0%} of the targets lie outside what {loss.head} can give ({spans}); "
                f"{share:.0%} is the limit."
            ),
            loss.unreachable,
        )
    if loss.squashed_again:
        yield (
            "warns",
            (
                f"The output goes through a {loss.head} twice: {evidence.called(loss.squashed_again)} squashes what is "
                "between 0 and 1 already, which flattens the gradient."
            ),
            2.0,
        )
    if loss.declared:
        yield from _wrong_pairs(loss)
        yield from _beyond(loss)
    elif evidence.target is not None and loss.name == LossName.CROSS_ENTROPY and not loss.one_hot:
        yield from _classes_behind(loss)
    yield from _slower(loss)


def _degenerate(loss: LossEvidence) -> Iterator[_Mismatch]:
    """Yield softmaxes that compare the wrong numbers, or none."""
    if loss.head not in {"Softmax", "LogSoftmax"}:
        return
    if loss.head_width == 1:
        always = 1 if loss.head == "Softmax" else 0
        yield (
            "certain",
            f"The model ends in a softmax over a single unit, whose output is always {always}: it has no gradient.",
            1.0,
        )
    first = loss.head_axis is not None and loss.output_rank > 1 and loss.head_axis % loss.output_rank == 0
    if first and not loss.of_pairs:
        yield (
            "certain",
            "The softmax runs over the batch instead of over the classes, so samples compete with each other.",
            0.0,
        )


def _wrong_pairs(loss: LossEvidence) -> Iterator[_Mismatch]:
    """Yield pairs of head and named loss that do not go together."""
    pair = LossName(loss.name), loss.head
    if pair in _PAIRS:
        yield "warns", f"The model ends in {loss.head}, but {_PAIRS[pair]}.", 0.0


def _beyond(loss: LossEvidence) -> Iterator[_Mismatch]:
    """Yield outputs outside what a named loss takes."""
    if (LossName(loss.name), loss.head) in _PAIRS:
        return
    outside = loss.output_low < -_ROUNDING or loss.output_high > 1 + _ROUNDING
    spans = f"{loss.output_low:.3g} to {loss.output_high:.3g}"
    if loss.name == LossName.BCE and outside:
        yield "certain", f"bce expects probabilities; the output spans {spans}.", loss.output_high
    if loss.name == LossName.PROBABILITY_CROSS_ENTROPY and outside:
        yield (
            "certain",
            f"The loss expects probabilities (from_logits is false); the output spans {spans}.",
            loss.output_high,
        )
    if loss.name == LossName.NLL and loss.output_high > _ROUNDING:
        yield (
            "certain",
            f"nll expects log-probabilities, at most 0; the output reaches {loss.output_high:.3g}.",
            loss.output_high,
        )


def _classes_behind(loss: LossEvidence) -> Iterator[_Mismatch]:
    """Yield heads that squeeze the logits of classes, where the loss was read off output and target."""
    if loss.head in _UNNAMED:
        weight, why = _UNNAMED[loss.head]
        yield "warns" if weight == "warns" else "noted", f"The model ends in {loss.head}, {why}.", 0.0


def _slower(loss: LossEvidence) -> Iterator[_Mismatch]:
    """Yield pairs that train, though their own loss would train faster."""
    if loss.head == "Softmax" and loss.one_hot and loss.name not in {LossName.CROSS_ENTROPY, LossName.NLL}:
        yield (
            "noted",
            (
                f"The model ends in a softmax over {loss.head_width} classes and every target is one of them, but "
                f"the loss is {loss.name}: cross entropy has the larger gradient where the model is wrong."
            ),
            0.0,
        )
