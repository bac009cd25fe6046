"""Finds models that have learnt in training mode what evaluation does not show."""

from service.contract.words import Symptom
from worker.probe.evidence import Evaluation, Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, places_at, rule, weigh


@rule("EVL01", Symptom.NORMALIZATION_MISUSE, order=15, aliases=["train/eval mismatch"])
def evaluation_gap(evidence: Evidence, *, learnt: float = 0.5) -> Answer:
    """The model is good in training mode and no better than a guess in evaluation.

    What it measures
        The loss on the batch in training mode and in evaluation, where batch norms use their running statistics and
        nothing is dropped; it counts where the first is under half of what the best constant prediction costs, and the
        second is above all of it.

    Why it matters
        What is deployed is the evaluation: running statistics that were never updated, were saved before training or
        belong to other data undo what was learnt.

    When it is wrong
        A model that has learnt nothing yet is not judged, nor is one on a batch that was drawn.  Statistics taken anew
        over the training data mend it, without a step.

    References
        Ioffe and Szegedy 2015 (arXiv 1502.03167), section 3.1; Wu and Johnson 2021 (arXiv 2105.07576).
    """
    seen, chance = evidence.structure.evaluation, evidence.loss.chance
    if not evidence.structure.two_modes:
        return Silence("not_applicable", "evaluation computes what training does")
    if evidence.synthetic:
        return Silence("could_not_judge", "the batch was drawn, so running statistics cannot be those of its like")
    if seen is None or not chance > 0 or not seen.training < learnt * chance or seen.loss <= chance:
        return CLEAR
    return Observation(
        f"In training mode the loss on this batch is {seen.training:.3g}, in evaluation {seen.loss:.3g}; the best "
        f"constant prediction costs {chance:.3g}.{_why(evidence, seen)}",
        weigh(evidence),
        places_at([seen.farthest] if seen.farthest else []),
        {"training_loss": seen.training, "evaluation_loss": seen.loss, "chance": chance},
    )


def _why(evidence: Evidence, seen: Evaluation) -> str:
    if seen.fresh:
        return f" {seen.fresh} of {seen.norms} batch norms still have the running mean 0 and variance 1."
    if seen.farthest is None:
        return ""
    far = seen.farthest
    return (
        f" The running mean of {evidence.called(far.node)} is {far.measured:.2g} standard deviations from the batch's."
    )
