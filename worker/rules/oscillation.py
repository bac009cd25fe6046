"""Finds declared learning rates at which the loss swings instead of falling."""

from itertools import pairwise

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.course import Run
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, SHORT_RUN, Answer, Observation, Silence, rule, undeclared

_FEWEST = 20


@rule(
    "TRN05",
    Symptom.UNSTABLE_LEARNING_RATE,
    order=51,
    aliases=["oscillating loss", "LossNotDecreasing"],
    told_by=[Symptom.UNSTABLE_LEARNING_RATE, Symptom.OVER_REGULARIZATION],
)
def oscillation(
    evidence: Evidence, *, turns: float = 0.8, ripple: float = 0.01, swing: float = 0.1, above: float = 0.25
) -> Answer:
    """The loss swings up and down at the learning rate that is meant to be used.

    What it measures
        The second half of the training trial's run under the declared optimizer and rate, on a batch that every step
        takes whole: the share of steps at which the loss turns from falling to rising or back, and the mean change from
        step to step by the mean loss.  A note where it turns at more than .8 of the steps and changes by more than 1%;
        a warning where it changes by a tenth and more than a quarter of the steps cost more than both the first one
        and the best constant prediction.

    Why it matters
        Steps that jump from one wall of a valley to the other do not go down it: half the rate would.

    When it is wrong
        Training at the edge of stability swings a little and learns well; that is why a swing alone is a note.  Where
        steps take part of the batch, or signals are dropped, the noise of that turns as often; so it is not judged.

    References
        Cohen et al. 2021 (arXiv 2103.00065): gradient descent settles where the sharpness is 2 by the rate.
    """
    training = evidence.training
    run = training.declared if training else None
    if run is None:
        return undeclared(evidence)
    half = run.losses[len(run.losses) // 2 :]
    if reason := _noisy(evidence, run):
        return Silence("could_not_judge", reason)
    if len(half) < _FEWEST:
        return CLEAR if run.beaten else Silence("could_not_judge", f"the run ended after {len(run.losses)} steps")
    start = max(run.losses[0], evidence.loss.chance)
    high = sum(loss > start for loss in half) / len(half)
    turning, size = _turning(half), _swing(half)
    grave = size > swing and high > above
    if not grave and (turning <= turns or size <= ripple):
        return CLEAR
    return Observation(
        f"At the declared rate of {run.learning_rate:g} with {run.optimizer} the loss moves by {size:.0%} of its mean "
        f"from step to step and turns at {turning:.0%} of the steps (noise would at 67%){_behind(run, high, start)}.",
        Severity.WARNING if grave else Severity.INFO,
        (Place(node="optimizer", measured=high if grave else turning, limit=above if grave else turns),),
        {"turning": turning, "swing": size, "above_start": high, "learning_rate": run.learning_rate},
        SHORT_RUN if grave else 1.0,
    )


def _noisy(evidence: Evidence, run: Run) -> str:
    """Return why the course of a run is noise; nothing where it is not."""
    if not run.whole:
        return "steps take part of the batch, and the noise of that turns as often"
    held = evidence.regularization
    return "dropout makes the loss noisy" if held and held.dropouts else ""


def _behind(run: Run, high: float, start: float) -> str:
    if high == 0:
        return f"; it is learnt all the same, down to {run.lowest:.3g}" if run.beaten else ""
    return f", and {high:.0%} of them cost more than {start:.3g}, where it began"


def _turning(losses: tuple[float, ...]) -> float:
    """Return the share of steps at which the loss changes its direction."""
    moves = [after - before for before, after in pairwise(losses)]
    return sum(one * other < 0 for one, other in pairwise(moves)) / max(len(moves) - 1, 1)


def _swing(losses: tuple[float, ...]) -> float:
    """Return the mean size of a step's change by the mean loss."""
    mean = sum(losses) / len(losses)
    size = sum(abs(after - before) for before, after in pairwise(losses)) / (len(losses) - 1)
    return size / mean if mean > 0 else 0.0
