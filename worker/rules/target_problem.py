"""Finds targets that cannot be learnt from, or that the inputs give away."""

from collections.abc import Iterator

from service.contract.report import Place
from service.contract.words import LossName, Severity, Symptom
from worker.probe.evidence import Evidence, TargetEvidence
from worker.rules import CLEAR, Answer, Observation, absent, rule, too_few, weigh

_BINARY = frozenset({LossName.BCE, LossName.BCE_WITH_LOGITS})
_TELLING = 10
"""Targets per class from which a class that is missing is no chance: of K even classes, K/e¹⁰ are."""
_Said = tuple[Severity, str, float, float]


@rule(
    "TGT01",
    Symptom.TARGET_PROBLEM,
    order=27,
    aliases=["bad labels", "constant target", "label noise", "target leak", "class imbalance"],
)
def target_problem(
    evidence: Evidence,
    *,
    adequate: int = 32,
    dominant: float = 0.95,
    contradicting: float = 0.05,
    hopeless: float = 0.5,
) -> Answer:
    """The targets are all the same, contradict one another, or stand among the inputs.

    What it measures
        Whether every sample has the same target; the share of samples whose inputs come again with another target, and
        how much of the loss no function of the inputs can take away (both over one half: a warning; over 5% a note).
        Noted are a class that takes more than 95% of the targets, classes of the output that none of them names though
        there are ten targets for each, and a column of the inputs that is the target itself.

    Why it matters
        What the targets do not tell apart, training cannot, whatever the network; what the inputs give away it learns
        instead of the task.

    When it is wrong
        A batch of one class may be drawn from many: give one that is shuffled.  A discriminator sees batches of one
        answer on purpose, so for yes or no that is only noted.  Inputs of few values, as in games of chance, come again
        with other targets by nature.

    References
        UMLAUT (Schoop et al. 2021) and TheDeepChecker (Ben Braiek and Khomh 2023) check labels; Kaufman et al. 2012 on
        leakage.
    """
    target = evidence.target
    if target is None:
        return absent(evidence, "the target was drawn")
    if target.samples < adequate:
        return too_few(evidence, adequate, "tell chance from fault")
    said = [*_constant(evidence), *_contradictions(evidence, target, contradicting, hopeless)]
    said = said or [*_leaks(target), *_uneven(target, dominant), *_unnamed(target)]
    if not said:
        return CLEAR
    severity, sentence, measured, limit = said[0]
    return Observation(
        sentence,
        severity,
        (Place(node="target", measured=measured, limit=limit),),
        {
            "contradicting": target.contradicting,
            "floor": target.floor,
            "dominant": target.dominant,
            "missing_classes": float(target.missing),
        },
    )


def _constant(evidence: Evidence) -> Iterator[_Said]:
    if not evidence.loss.target_constant:
        return
    binary = evidence.loss.name in _BINARY
    yield (
        Severity.INFO if binary else weigh(evidence),
        f"All {evidence.samples} samples have the same target: whatever the network is, a constant answers them all.",
        1.0,
        1.0,
    )


def _contradictions(evidence: Evidence, target: TargetEvidence, noted: float, hopeless: float) -> Iterator[_Said]:
    if target.contradicting <= noted or target.distinct == 1:  # INP02 says that all inputs are the same
        return
    certain = target.contradicting > hopeless and target.floor > hopeless
    yield (
        weigh(evidence) if certain else Severity.INFO,
        (
            f"{target.contradicting:.0%} of the samples come again with the same inputs and another target "
            f"({hopeless if certain else noted:.0%} is the limit); no function of the inputs can lower the loss below "
            f"{target.floor:.0%} of what the best constant costs."
        ),
        target.contradicting,
        hopeless if certain else noted,
    )


def _leaks(target: TargetEvidence) -> Iterator[_Said]:
    if target.leak is not None:
        name, column = target.leak
        yield Severity.INFO, f"Column {column} of the input {name!r} is the target itself.", 1.0, 0.0


def _uneven(target: TargetEvidence, limit: float) -> Iterator[_Said]:
    """Yield one answer that nearly all targets give; labels of which a sample has many are rare by nature."""
    single = target.classes > 0 or target.count == target.samples
    if single and target.dominant > limit:
        yield (
            Severity.INFO,
            (
                f"{target.dominant:.0%} of the targets are the same class ({limit:.0%} is the limit): always to "
                "answer it looks accurate."
            ),
            target.dominant,
            limit,
        )


def _unnamed(target: TargetEvidence) -> Iterator[_Said]:
    if target.missing and target.count >= _TELLING * target.classes:
        yield (
            Severity.INFO,
            (
                f"{target.missing} of the {target.classes} classes that the output tells apart are named by none of "
                f"the {target.count} targets."
            ),
            float(target.missing),
            0.0,
        )
