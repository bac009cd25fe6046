"""Finds heads whose first answers are wrong with conviction."""

from math import inf, isfinite, log, sqrt

from service.contract.words import LossName, Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, note, place_at, rule, weigh

_CLASSES = frozenset({LossName.CROSS_ENTROPY, LossName.NLL, LossName.PROBABILITY_CROSS_ENTROPY})
_BINARY = frozenset({LossName.BCE, LossName.BCE_WITH_LOGITS})
_NUMBERS = frozenset({LossName.MSE, LossName.MAE, LossName.HUBER})


@rule(
    "LOS02",
    Symptom.POOR_INIT_SCALE,
    order=45,
    aliases=["wrong initial loss", "over-scaled head"],
    told_by=[
        Symptom.EXPLODING_GRADIENT,
        Symptom.INPUT_SCALE,
        Symptom.TARGET_PROBLEM,
        Symptom.LOSS_MISMATCH,
        Symptom.POOR_INIT_SCALE,
        Symptom.RECURRENT_GAIN,
        Symptom.STRUCTURE_FAULT,
        Symptom.OVER_REGULARIZATION,
    ],
)
def initial_loss(evidence: Evidence, *, nats: float = 1.0, certainty: float = 10.0, decades: float = 1.5) -> Answer:
    """The first loss is far above that of a guess.

    What it measures
        For K classes, the loss on the batch against ln K, in nats: logits of standard deviation s cost ln K + s²/2, so
        one nat above is s = 1.4.  For yes or no, against ln 2.  For numbers, the root mean square of the output by that
        of the targets, in decades; beyond 1.5 it counts.

    Why it matters
        The first steps do nothing but shrink the head, and those of a large gradient may spoil what lies before it.

    When it is wrong
        Most networks recover within some steps: up to 10 nats it is a note unless the training trial fails.  Beyond,
        what is true has a chance of e⁻¹⁰ at most, in the mean, and that is a warning.  A trained model that meets a
        batch unlike its data is wrong with conviction, too.

    References
        Karpathy 2019, A Recipe for Training Neural Networks ("verify loss at init"); ln K + s²/2 is the mean of a
        log-sum-exp of K Gaussian logits for large K.
    """
    loss = evidence.loss
    if evidence.nonfinite is not None or not isfinite(loss.value):
        return Silence("could_not_judge", "the loss is not finite; see NUM01")
    if loss.name in _NUMBERS:
        return _scale_of_numbers(evidence, decades)
    guess = _guess(evidence)
    above = loss.value / loss.scale - guess
    if above <= nats:
        return CLEAR
    spread = f", as logits of standard deviation {sqrt(2 * above):.1f} give" if loss.name in _CLASSES else ""
    return Observation(
        f"The loss starts {above:.1f} nats above the {guess:.2f} of an even guess{spread}; {nats:g} is the limit. "
        "Start the head smaller.",
        weigh(evidence) if above > certainty else note(evidence),
        (place_at(evidence, loss.head_node, above, nats),),
        {"above": above, "guess": guess},
    )


def _guess(evidence: Evidence) -> float:
    """Return what an even guess costs, in nats; without bound for losses of another kind."""
    if evidence.loss.name in _CLASSES:
        return log(max(evidence.loss.head_width, 2))
    return log(2) if evidence.loss.name in _BINARY else inf


def _scale_of_numbers(evidence: Evidence, decades: float) -> Answer:
    target, loss = evidence.target, evidence.loss
    size = sqrt(target.mean**2 + target.std**2) if target is not None else 1.0
    if size <= 0:
        return Silence("not_applicable", "every target is zero")
    ratio = loss.output_rms / size
    if ratio <= 10**decades:
        return CLEAR
    return Observation(
        f"The output starts with a root mean square of {loss.output_rms:.3g}, {ratio:.3g} times that of the targets; "
        f"{10**decades:.3g} is the limit. Start the head smaller.",
        note(evidence),
        (place_at(evidence, loss.head_node, ratio, 10**decades),),
        {"ratio": ratio},
    )
