"""Finds declared learning rates that a training run does not survive."""

from math import isinf

from service.contract.report import Place
from service.contract.words import Symptom
from worker.course import Run
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, rule, undeclared, weigh

_FORGOTTEN = 2
"""Times its lowest at which a loss that ends so high is not called learnt."""


@rule(
    "TRN01",
    Symptom.UNSTABLE_LEARNING_RATE,
    order=50,
    aliases=["divergence"],
    told_by=[Symptom.OVER_REGULARIZATION],
)
def unstable_learning_rate(evidence: Evidence, *, spike: float = 10.0, share: float = 0.999) -> Answer:
    """Training diverges at the learning rate that is meant to be used.

    What it measures
        A run of the training trial under the declared optimizer and rate: it diverges where a loss or a gradient stops
        being finite, or nothing is learnt and the loss ends above where it began.  That rejects, and so does a run that
        learns nothing, or forgets what it learnt and ends at .999 of the best constant prediction's loss or above,
        while a lower rate learns the batch.  A loss that shoots up to ten times its start and comes back only warns.
        Where a higher rate learns, the declared one is not too high: TRN03 tells of that.

    Why it matters
        The same steps on the full data diverge in the same way, some GPU-hours later.

    When it is wrong
        Warm-up, which the trial does not have, can carry a rate that fails here.

    References
        Lewkowycz et al. 2020 (arXiv 2003.02218): 2/λ is a scale, not the limit; so the rate is tried, not computed.
    """
    training = evidence.training
    run = training.declared if training else None
    if training is None or run is None:
        return undeclared(evidence)
    stable = training.stable_learning_rate
    lower = stable is not None and run.learning_rate > stable
    forgot = run.beaten and run.final >= share * evidence.loss.chance
    higher = stable is not None and run.learning_rate < stable and not isinf(run.spike)
    unstable = (run.diverged and not higher) or (lower and (forgot or not run.beaten))
    if not unstable and run.spike <= spike:
        return CLEAR
    if not training.passed:
        return Silence("could_not_judge", "nothing trains this network, at this rate or another")
    return Observation(
        f"At the declared rate of {run.learning_rate:g} with {run.optimizer} {_course(run)}."
        + (f" At {stable:g} it learns the batch." if stable is not None else ""),
        weigh(evidence, certain=unstable),
        (Place(node="optimizer", measured=run.learning_rate, limit=stable or run.learning_rate),),
        {
            "learning_rate": run.learning_rate,
            "final_loss": run.final,
            "initial_loss": run.losses[0],
            "spike": run.spike,
        },
    )


def _course(run: Run) -> str:
    """Say in half a sentence how the run went."""
    first, steps = run.losses[0], len(run.losses)
    if isinf(run.spike):
        return f"the loss, {first:.3g} at first, stopped being finite within {steps} steps"
    if not run.beaten:
        return f"the loss went from {first:.3g} to {run.final:.3g} in {steps} steps and the batch was not learnt"
    if run.diverged or run.final > run.lowest * _FORGOTTEN:
        return f"the loss went from {first:.3g} up to {max(run.losses):.3g} and ended at {run.final:.3g}"
    return f"the loss shot up from {first:.3g} to {max(run.losses):.3g} before the batch was learnt"
