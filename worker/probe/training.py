"""The training trial: does the subject learn its batch better than the best constant prediction, under any usual way?

A declared optimizer and rate go first, and where that fails the same optimizer at the best rate of a short range test.
Then, or where nothing was declared, Adam at its usual rate is tried, and SGD at the best rate of a range test.  A
network fails only if it fails under all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from service.contract.words import OptimizerName
from worker.budget import Deadline
from worker.course import Run
from worker.optimizers import Optimizer
from worker.probe.evidence import LossEvidence, Training
from worker.subject import Subject
from worker.training import Trainer

LEARNT: Final = 0.05
"""Share of the best constant's loss at which the batch is learnt and no more steps are needed."""
CALM: Final = 10.0
"""How many times its start a loss may reach in a run that is not looked behind."""
USUAL_RATE: Final = 1e-3
RATES: Final = tuple(10 ** (exponent / 2) for exponent in range(-8, 2))
"""The range test's learning rates, half a decade apart."""
RANGE_STEPS: Final = 20
_CONVERGED: Final = 0.5
"""Share of the best constant's loss under which a model counts as trained already."""
_CLIP_PERCENTILE: Final = 0.9


def declared_optimizer(subject: Subject, name: OptimizerName, rate: float) -> Optimizer:
    """Return the optimizer with the subject's other settings."""
    settings = subject.settings
    return Optimizer(name, rate, settings.momentum, settings.weight_decay, settings.clipping)


def usual_optimizer(subject: Subject) -> Optimizer:
    """Return what the subject says it will be trained with, or Adam at its usual rate."""
    settings = subject.settings
    return declared_optimizer(subject, settings.optimizer or OptimizerName.ADAM, settings.learning_rate or USUAL_RATE)


@dataclass(frozen=True)
class Ask:
    """How much a training trial is asked for."""

    steps: int
    both: bool = False
    """Whether SGD is tried though Adam has passed, because the evidence speaks of risk."""
    goal: float = 0.0
    """Share of the best constant's loss at which a run has shown enough."""
    deep: bool = False
    """Whether measures that take many passes are taken too."""


def try_training(subject: Subject, loss: LossEvidence, ask: Ask, deadline: Deadline) -> Training:
    """Run the trial.  Nothing is run where the model came trained or where every target is the same."""
    converged = loss.value < _CONVERGED * loss.chance
    judged = not loss.target_constant and loss.chance > 0
    trainable = any(parameter.trainable for parameter in subject.graph.parameters.values())
    empty = Training((), ask.steps, complete=True, converged=converged, judged=judged and trainable)
    if converged or not empty.judged:
        return empty
    trainer = Trainer(subject)
    runs: list[Run] = []
    for run in _runs(subject, trainer, ask, deadline):
        runs.append(run)
        if run.beaten and run.spike <= CALM and (run.declared or not ask.both):
            break
    return _concluded(replace(empty, runs=tuple(runs), complete=_complete(runs, ask.steps)))


def _runs(subject: Subject, trainer: Trainer, ask: Ask, deadline: Deadline) -> Iterator[Run]:
    """Train in one way after another: as declared, with the declared optimizer at its best rate, as usual."""
    settings, seed, usual = subject.settings, subject.seed, usual_optimizer(subject)
    if settings.learning_rate is not None:
        yield trainer.run(usual, ask.steps, seed, deadline.share(0.4), declared=True, goal=ask.goal)
    if settings.learning_rate is not None or settings.optimizer is not None:
        yield _at_best_rate(subject, trainer, usual.name, ask, deadline)
    plain = subject.replace(settings=replace(subject.settings, clipping=None, momentum=None, weight_decay=0.0))
    adam = declared_optimizer(plain, OptimizerName.ADAM, USUAL_RATE)
    yield trainer.run(adam, ask.steps, seed, deadline.share(0.6), goal=ask.goal)
    yield _at_best_rate(plain, trainer, OptimizerName.SGD, ask, deadline)


def _at_best_rate(subject: Subject, trainer: Trainer, name: OptimizerName, ask: Ask, deadline: Deadline) -> Run:
    rate = best_rate(subject, trainer, name, deadline.share(0.4))
    return trainer.run(declared_optimizer(subject, name, rate), ask.steps, subject.seed, deadline, goal=ask.goal)


def best_rate(subject: Subject, trainer: Trainer, name: OptimizerName, deadline: Deadline) -> float:
    """Return the rate of the range test that ends lowest: short runs, half a decade apart, the largest rate last."""
    ends = {}
    for rate in RATES:
        run = trainer.run(declared_optimizer(subject, name, rate), RANGE_STEPS, subject.seed, deadline)
        if not run.diverged:
            ends[rate] = run.final
    return min(ends, key=lambda rate: ends[rate], default=RATES[0])


def _complete(runs: list[Run], steps: int) -> bool:
    return all(len(run.losses) >= steps or run.beaten or run.diverged for run in runs)


def _concluded(training: Training) -> Training:
    """Add what the runs suggest: a rate that trained, and a clip limit from the norms that were measured."""
    best = training.best
    if best is None or not best.beaten:
        return training
    norms = sorted(best.gradient_norms)
    return replace(
        training,
        suggested_learning_rate=best.learning_rate,
        suggested_clip=norms[int(_CLIP_PERCENTILE * (len(norms) - 1))] if norms else None,
        stable_learning_rate=_stable(training.runs),
    )


def _stable(runs: tuple[Run, ...]) -> float | None:
    """Return the rate at which the declared optimizer does learn, where it does not at the declared one."""
    declared = next((run for run in runs if run.declared and not run.beaten), None)
    if declared is None:
        return None
    return next((run.learning_rate for run in runs if run.beaten and run.optimizer == declared.optimizer), None)
