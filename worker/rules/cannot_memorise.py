"""Finds networks that stop short of fitting one small batch."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.course import Run
from worker.probe.evidence import TELLING_STEPS, Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, rule, several, untrained

_CLASSES = frozenset({"cross_entropy", "probability_cross_entropy", "nll"})


@rule(
    "TRN06",
    Symptom.STALLED_TRAINING,
    order=61,
    aliases=["overfit one batch"],
    told_by=[
        Symptom.TARGET_PROBLEM,
        Symptom.STALLED_TRAINING,
        Symptom.UNSTABLE_LEARNING_RATE,
        Symptom.SLOW_LEARNING_RATE,
        Symptom.OVER_REGULARIZATION,
        Symptom.LOSS_MISMATCH,
    ],
)
def cannot_memorise(evidence: Evidence, *, share: float = 0.5, standing: float = 0.98) -> Answer:
    """The network beats a constant, but stops short of fitting one small batch.

    What it measures
        The best run of the training trial on a batch that every step takes whole, of a network with more weights than
        the batch has targets: its last losses are above half of the best constant prediction's, and within 2% of those
        a quarter of the run earlier.

    Why it matters
        A network with room for it learns even random labels by heart; one that stops half-way has something in its way,
        such as a bottleneck, a head that cannot reach the targets, or noise of its own.

    When it is wrong
        Equal samples with different targets cannot be told apart, and dropout keeps the loss up on purpose.  It is a
        note, never more.

    References
        Zhang et al. 2017 (arXiv 1611.03530); Karpathy 2019, A Recipe for Training Neural Networks.
    """
    training = evidence.training
    best = training.best if training else None
    if best is None:
        return untrained(evidence)
    if not best.beaten:
        return Silence("not_applicable", "nothing was learnt")
    reason = _unfit(evidence, best)
    if reason:
        return Silence("could_not_judge", reason)
    losses = best.losses
    tenth = max(len(losses) // 10, 1)
    quarter = len(losses) - len(losses) // 4
    earlier = sum(losses[quarter - tenth : quarter]) / tenth
    chance = evidence.loss.chance
    if best.final <= share * chance or best.final < standing * earlier:
        return CLEAR
    return Observation(
        f"After {len(losses)} steps of {best.optimizer} on one batch of {several(evidence.samples, 'sample')} the loss "
        f"is {best.final:.3g}, {best.final / chance:.0%} of what the best constant answer costs, and falls no more. "
        "There are more weights than targets, so it could be learnt by heart.",
        Severity.INFO,
        (Place(node="loss", measured=best.final, limit=share * chance),),
        {"final_loss": best.final, "earlier_loss": earlier, "chance": chance},
    )


def _unfit(evidence: Evidence, best: Run) -> str:
    """Return why a run says nothing about learning by heart; nothing where it does."""
    if not best.whole:
        return "steps take part of the batch"
    if len(best.losses) < TELLING_STEPS and best.final > evidence.loss.chance / 2:
        return f"the trial had fewer than {TELLING_STEPS} steps"
    weights = sum(parameter.count for parameter in evidence.parameters if parameter.state != "unused")
    wide = 1 if evidence.loss.name in _CLASSES else max(evidence.loss.head_width, 1)
    return "the batch has more targets than the network has weights" if weights <= evidence.samples * wide else ""
