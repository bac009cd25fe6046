"""Finds networks that do not learn their batch, whatever the cause."""

from math import isinf

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.course import Run
from worker.probe.evidence import TELLING_STEPS, Evidence, Training
from worker.rules import CLEAR, FAILED_RUN, SHORT_RUN, Answer, Observation, Silence, rule, several, untrained

_TOO_SHORT = f" A trial of fewer than {TELLING_STEPS} steps proves little, so this only warns."


@rule(
    "TRN02",
    Symptom.STALLED_TRAINING,
    order=60,
    aliases=["LossNotDecreasing"],
    told_by=[Symptom.OVER_REGULARIZATION],
)
def stalled_training(evidence: Evidence, *, share: float = 0.999) -> Answer:
    """The network does not learn even the batch at hand.

    What it measures
        The training trial: the lowest mean loss over a tenth of the steps against .999 of the loss of the best
        prediction that is the same for every sample.  It fails only if no way of training that was tried beats
        that.  Where steps take part of the batch, sixteen of its samples are given alone at the end: a network that
        learns them by heart, to half of chance, is not the one to blame, and this is a note.

    Why it matters
        What cannot tell the samples of one batch apart after hundreds of steps will not learn a data set.

    When it is wrong
        Few steps prove little: a trial that ran out of time only warns, and one that was cut off at once says nothing.

    References
        Measured for this rule: true positives .85 at .05 false ones after 200 steps, against accuracy at the end, so a
        network that fails is sick with a probability of .94 where half of all are.
    """
    training = evidence.training
    if training is None or not training.runs:
        return untrained(evidence)
    if training.only_by_heart:
        return _by_heart(evidence, training)
    if training.passed:
        return CLEAR
    best = training.best or training.runs[0]
    if _open(training):
        return Silence("could_not_judge", f"the trial ran out of time after {_steps(best)}")
    limit = share * evidence.loss.chance
    return Observation(
        _sentence(training, best, limit),
        Severity.ERROR if training.failed else Severity.WARNING,
        (Place(node="loss", measured=min(best.lowest, best.final), limit=limit),),
        {"lowest_loss": min(best.lowest, best.final), "chance": evidence.loss.chance, "steps": len(best.losses)},
        FAILED_RUN if training.failed else SHORT_RUN,
    )


def _by_heart(evidence: Evidence, training: Training) -> Answer:
    best, chance = training.best or training.runs[0], evidence.loss.chance
    return Observation(
        f"In {_steps(best)} the loss on the whole batch did not get below {chance:.4g}, which is what the best "
        "constant prediction costs, but a few samples are learnt by heart: the targets may be noise, or take longer.",
        Severity.INFO,
        (Place(node="loss", measured=min(best.lowest, best.final), limit=chance),),
        {"lowest_loss": min(best.lowest, best.final), "chance": chance},
    )


def _open(training: Training) -> bool:
    """Whether no run had the steps to show anything."""
    return not training.complete and all(
        isinf(run.lowest) and run.gradient_norms and not run.diverged for run in training.runs
    )


def _sentence(training: Training, best: Run, limit: float) -> str:
    """Say how far the best run came, and that few steps prove little."""
    return _reached(training, best, limit) + ("" if training.failed else _TOO_SHORT)


def _reached(training: Training, best: Run, limit: float) -> str:
    if not best.gradient_norms:
        return "Training changes nothing here: the loss does not depend on any weight that is to be trained."
    names = " nor ".join(dict.fromkeys(run.optimizer for run in training.runs if not run.by_heart))
    return (
        f"Neither {names} got the loss below {limit:.4g}, a thousandth under what the best constant prediction costs; "
        f"after {_steps(best)} it had come to {min(best.lowest, best.final):.4g}."
    )


def _steps(run: Run) -> str:
    return several(len(run.losses), "step")
