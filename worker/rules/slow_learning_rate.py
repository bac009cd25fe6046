"""Finds declared settings under which the batch is not learnt though it could be."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.course import Run
from worker.probe.evidence import Evidence, Training
from worker.rules import CLEAR, Answer, Observation, Silence, rule, undeclared


@rule(
    "TRN03",
    Symptom.SLOW_LEARNING_RATE,
    order=51,
    aliases=["learning rate too low", "UnchangedTensor"],
    told_by=[
        Symptom.OVER_REGULARIZATION,
        Symptom.UNSTABLE_LEARNING_RATE,
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
    ],
)
def slow_learning_rate(evidence: Evidence, *, factor: float = 64.0) -> Answer:
    """Training hardly moves at the learning rate that is meant to be used.

    What it measures
        A run of the training trial under the declared optimizer and rate that does not learn the batch, though the same
        optimizer learns it at the best rate of a range test.  A declared rate under a 64th of that warns.  Where no
        rate of that test learns it, but a usual optimizer does, that is a note, and a warning where clipping was
        declared.

    Why it matters
        Steps that small are GPU-hours spent on standing still.

    When it is wrong
        Fine-tuning takes small steps on purpose, and a schedule may start low; so a rate that is only somewhat
        small is a note.

    References
        Smith 2017 (arXiv 1506.01186): the learning-rate range test.
    """
    training = evidence.training
    run = training.declared if training else None
    if training is None or run is None:
        return undeclared(evidence)
    best = training.stable_learning_rate
    if not run.beaten and not run.diverged and best is None:
        return _stands_still(evidence, training, run)
    if run.beaten or best is None or best <= run.learning_rate:
        return CLEAR
    share = best / run.learning_rate
    return Observation(
        f"At the declared rate of {run.learning_rate:g} with {run.optimizer} the loss went from {run.losses[0]:.4g} to "
        f"{run.final:.4g} in {len(run.losses)} steps, and the batch was not learnt. At {best:g} it is.",
        Severity.WARNING if share > factor else Severity.INFO,
        (Place(node="optimizer", measured=run.learning_rate, limit=best / factor),),
        {"learning_rate": run.learning_rate, "best_learning_rate": best, "final_loss": run.final},
    )


def _stands_still(evidence: Evidence, training: Training, run: Run) -> Answer:
    """Tell of a declared way that learns at no rate, where a usual one learns."""
    best = training.best
    if best is None or not best.beaten or best.by_heart:
        return Silence("could_not_judge", "nothing trains this network, at this rate or another")
    clip = evidence.declared.clip if evidence.declared else None
    clipped = f" and clipping at {clip:g}" if clip is not None else ""
    return Observation(
        f"With {run.optimizer}{clipped} the batch was not learnt at the declared rate of {run.learning_rate:g}, nor at "
        f"any other that was tried; {best.optimizer} at {best.learning_rate:g} learns it"
        + (" without it." if clip is not None else "."),
        Severity.INFO if clip is None else Severity.WARNING,
        (Place(node="optimizer", measured=run.learning_rate, limit=best.learning_rate),),
        {"learning_rate": run.learning_rate, "best_learning_rate": best.learning_rate, "final_loss": run.final},
    )
