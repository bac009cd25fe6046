"""Finds declared learning rates that a training run does not survive."""

from service.contract.report import Place
from service.contract.words import Symptom
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, rule, weigh


@rule("TRN01", Symptom.UNSTABLE_LEARNING_RATE, order=50, aliases=["divergence"])
def unstable_learning_rate(evidence: Evidence) -> Answer:
    """Training diverges at the learning rate that is meant to be used.

    What it measures
        A run of the training trial under the declared optimizer and rate: it diverges where a loss or a gradient stops
        being finite, or the loss ends above where it began, while another way of training does learn the batch.

    Why it matters
        The same steps on the full data diverge in the same way, some GPU-hours later.

    When it is wrong
        Warm-up, which the trial does not have, can carry a rate that fails here.

    References
        Lewkowycz et al. 2020 (arXiv 2003.02218): 2/λ is a scale, not the limit; so the rate is tried, not computed.
    """
    training = evidence.training
    run = next((run for run in training.runs if run.declared), None) if training else None
    if training is None or run is None:
        return Silence("not_applicable", "no learning rate was declared, or nothing was trained")
    if not run.diverged:
        return CLEAR
    if not training.passed:
        return Silence("could_not_judge", "nothing trains this network, at this rate or another")
    end = f"reached {run.final:.3g} after" if run.final < float("inf") else "stopped being finite within"
    return Observation(
        f"At the declared rate of {run.learning_rate:g} with {run.optimizer} the loss went from {run.losses[0]:.3g} "
        f"and {end} {len(run.losses)} steps; a rate of {training.stable_learning_rate or 0:g} learns the batch.",
        weigh(evidence, certain=True),
        (Place(node="optimizer", measured=run.learning_rate, limit=training.stable_learning_rate or 0),),
        {"learning_rate": run.learning_rate, "final_loss": run.final, "initial_loss": run.losses[0]},
    )
