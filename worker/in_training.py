"""What the training trial came to, as the report tells it."""

from collections.abc import Iterator, Sequence
from math import isfinite

from service.contract.options import Clipping
from service.contract.training import Suggested, TrainingSection
from service.contract.words import OptimizerName
from worker.answers import several
from worker.course import Run
from worker.probe.evidence import Evidence, Training
from worker.probe.training import RANGE_STEPS


def training_section(evidences: Sequence[Evidence]) -> TrainingSection | None:
    """Tell the training trial by its best run under the first seed; None where nothing was run."""
    training = evidences[0].training
    best = training.best if training else None
    if training is None or best is None:
        return None
    clip = training.suggested_clip
    return TrainingSection(
        steps=len(best.losses),
        seeds=len(evidences),
        optimizer=OptimizerName(best.optimizer),
        learning_rate=best.learning_rate,
        loss=best.losses,
        gradient_norm=best.gradient_norms,
        sharpness=evidences[0].sharpness and evidences[0].sharpness.value,
        max_stable_learning_rate=training.largest_stable_rate,
        suggested=Suggested(
            learning_rate=training.suggested_learning_rate,
            clipping=Clipping(kind="norm", limit=clip) if clip else None,
        ),
        notes=tuple(_course(evidences[0], training)),
    )


def _course(evidence: Evidence, training: Training) -> Iterator[str]:
    """Say of each run how many steps it had, why no more, and what it came to."""
    for run in training.runs:
        yield f"{run.optimizer} at {run.learning_rate:g}: {_ended(run, training.steps)} it {_outcome(evidence, run)}."
    if training.runs and training.runs[0].whole:
        yield f"Every step takes the whole batch, which has {several(evidence.samples, 'sample')}."
    if training.rates:
        yield _rates(training)
    if not training.complete:
        yield "The time box ended the trial before its last step."


def _ended(run: Run, steps: int) -> str:
    """Say after how many steps a run ended, and why before the last."""
    taken = f"after {several(len(run.losses), 'step')}"
    if len(run.losses) >= steps:
        return taken
    if run.late:
        return f"{taken} of {steps}, when the time was up,"
    return f"{taken} of {steps}, as more would show no more," if isfinite(run.final) else f"{taken} of {steps}"


def _rates(training: Training) -> str:
    """Say what the range tests came to."""
    best, stable = training.best.optimizer if training.best else "", training.largest_stable_rate
    said = f"Range test: {several(len(training.rates), 'short run')} of {RANGE_STEPS} steps"
    if not any(point.optimizer == best for point in training.rates):
        return f"{said} with {training.rates[0].optimizer}."
    if stable is None:
        return f"{said} with {best}; none was stable."
    bound = "is the largest rate that does not diverge" if training.bounded else "does not diverge, nor was more tried"
    return f"{said}; with {best} {stable:g} {bound}."


def _outcome(evidence: Evidence, run: Run) -> str:
    if run.by_heart:
        return f"had {'' if run.beaten else 'not '}learnt a few samples by heart"
    if not run.beaten:
        return "diverged" if run.diverged else "had not beaten the best constant prediction"
    forgot = run.diverged or run.final >= evidence.loss.chance
    return "had beaten the best constant prediction" + (", and lost it again" if forgot else "")
