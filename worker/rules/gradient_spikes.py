"""Finds steps at which the gradient is many times what it is around them."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.course import Run, Spike, spikes
from worker.probe.evidence import Evidence
from worker.rules import CLEAR, FAILED_RUN, SHOWN_PLACES, Answer, Observation, Silence, rule

_ROBUST = 50
"""Fewest steps whose median and spread say something."""
_RANK = 0.9


@rule(
    "TRN04",
    Symptom.GRADIENT_SPIKES,
    order=52,
    aliases=["gradient spike", "ExplodingTensor"],
    told_by=[
        Symptom.UNSTABLE_LEARNING_RATE,
        Symptom.OVER_REGULARIZATION,
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.RECURRENT_GAIN,
    ],
)
def gradient_spikes(evidence: Evidence, *, score: float = 5.0, share: float = 0.999) -> Answer:
    """The gradient shoots up at single steps.

    What it measures
        Every step of the training trial: how many robust standard deviations the logarithm of the gradient's norm lies
        above the median of the sixteen steps before and behind it, where it is at least three times that median.  A
        note, but for a run that loses behind a spike what it had learnt: its loss ends above .999 of the best constant
        prediction's, having been under it.

    Why it matters
        One such step can throw the weights out of what took hours to find.  Clipping at a norm that nine of ten steps
        stay under bounds it and changes nothing else.

    When it is wrong
        Batches of few samples have gradients of heavy tails by nature, and an optimizer with a memory of squares, such
        as Adam, bounds the step by itself.

    References
        Pascanu et al. 2013 (arXiv 1211.5063).  Measured for this rule: the largest of 200 lognormal norms lies beyond
        3.9 standard deviations once in twenty runs.
    """
    training = evidence.training
    told = [run for run in training.runs if not run.by_heart] if training else []
    runs = [run for run in told if len(run.gradient_norms) >= _ROBUST]
    if not runs:
        return Silence("not_applicable", f"no run of the training trial had {_ROBUST} steps")
    run = next((run for run in runs if run.declared), min(runs, key=lambda each: each.lowest))
    found = [spike for spike in spikes(run.gradient_norms) if spike.score > score]
    if not found:
        return CLEAR
    clip = _percentile(run)
    limit = share * evidence.loss.chance
    lost = run.lowest < limit <= run.final
    return Observation(
        f"{_said(run, found, score)} {_clipped(clip)}{' What was learnt before was lost.' if lost else ''}",
        Severity.WARNING if lost else Severity.INFO,
        tuple(
            Place(node=f"step {each.step}", measured=run.gradient_norms[each.step], limit=clip)
            for each in found[:SHOWN_PLACES]
        ),
        {"spikes": len(found), "score": found[0].score, "times_median": found[0].times, "clip": clip},
        FAILED_RUN if lost else 1.0,
    )


def _said(run: Run, found: list[Spike], score: float) -> str:
    """Say where the largest spike is, and how many there are."""
    worst, steps = found[0], len(run.gradient_norms)
    said = (
        f"Under {run.optimizer} at {run.learning_rate:g} the gradient's norm at step {worst.step} is {worst.times:.3g} "
        f"times what it is around it ({worst.score:.1f} robust standard deviations; {score:g} is the limit)."
    )
    return said if len(found) == 1 else f"{said} {len(found)} of {steps} steps stand out so."


def _clipped(clip: float) -> str:
    return f"Nine of ten steps have a norm under {clip:.3g}: clip there."


def _percentile(run: Run) -> float:
    norms = sorted(run.gradient_norms)
    return norms[int(_RANK * (len(norms) - 1))]
