"""The training trial: does the subject learn its batch better than the best constant prediction, under any usual way?

A declared optimizer and rate go first, and where that fails the same optimizer at the best rate of a short range test.
Then, or where nothing was declared, Adam at its usual rate is tried, and SGD at the best rate of a range test.  A
network fails only if it fails under all of them, and, where steps take part of the batch, if it cannot learn a few of
its samples by heart either.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from service.contract.words import OptimizerName
from worker.budget import Deadline
from worker.course import RatePoint, Run, spikes
from worker.optimizers import Optimizer
from worker.probe.evidence import LossEvidence, Training
from worker.probe.regularization import unregularized
from worker.subject import Settings, Subject
from worker.training import BY_HEART, Trainer

LEARNT: Final = 0.05
"""Share of the best constant's loss at which the batch is learnt and no more steps are needed."""
HALF: Final = 0.5
"""The same for a quick look."""
CALM: Final = 10.0
"""How many times its start a loss may reach in a run that is not looked behind."""
USUAL_RATE: Final = 1e-3
RATES: Final = tuple(10 ** (exponent / 2) for exponent in range(-8, 2))
"""The range test's learning rates, half a decade apart."""
RANGE_STEPS: Final = 20
_CONVERGED: Final = 0.5
"""Share of the best constant's loss under which a model counts as trained already."""
_CLIP_PERCENTILE: Final = 0.9
_FEW: Final = 16
"""Samples that are to be learnt by heart where the batch is not learnt."""
_HIGHER: Final = 6
"""Most half decades that are tried above a rate that trains."""
_RANGE_S: Final = 3.0
"""Planned seconds that these may take."""
_TINY: Final = 1e-9
_HELD_BACK: Final = 0.9
"""Share of the best constant's loss above which it is asked what holds a network back."""


def declared_optimizer(subject: Subject, name: OptimizerName, rate: float) -> Optimizer:
    """Return the optimizer with the subject's other settings."""
    settings = subject.settings
    return Optimizer(name, rate, settings.momentum, settings.weight_decay, settings.clipping, settings.warmup)


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
    ranged: bool = False
    """Whether rates above the one that trains are tried too, until one diverges."""


def try_training(subject: Subject, loss: LossEvidence, ask: Ask, deadline: Deadline) -> Training:
    """Run the trial.  Nothing is run where the model came trained or where every target is the same."""
    converged = 0 <= loss.value < _CONVERGED * loss.chance  # below zero is a loss of what is no probability
    judged = not loss.target_constant and loss.chance > 0
    trainable = any(parameter.trainable for parameter in subject.graph.parameters.values())
    empty = Training((), ask.steps, complete=True, converged=converged, judged=judged and trainable)
    if converged or not empty.judged:
        return empty
    trainer, points = Trainer(subject), list[RatePoint]()
    runs: list[Run] = []
    cut = False
    for run in _runs(subject, trainer, points, ask, deadline):
        runs.append(run)
        done = _calm(run) and not ask.both
        cut = not done and deadline.too_late_for("step")
        if done or cut:
            break
    if not cut and not any(run.beaten for run in runs) and Trainer.splits(subject):
        runs.extend(_by_heart(_plain(subject), ask, deadline))
    tried = replace(empty, runs=tuple(runs), rates=tuple(points), complete=not cut and _complete(runs, ask.steps))
    tried = _held_back(subject, trainer, tried, deadline)
    return _concluded(_ranged(subject, trainer, tried, deadline) if ask.ranged else tried)


def _runs(subject: Subject, trainer: Trainer, points: list[RatePoint], ask: Ask, deadline: Deadline) -> Iterator[Run]:
    """Train in one way after another: as declared, with the declared optimizer at its best rate, as usual.

    Behind a declared way that learns comes plain SGD alone.  What range tests find is added to `points`.
    """
    settings, seed, usual = subject.settings, subject.seed, usual_optimizer(subject)

    def at_best_rate(subject: Subject, name: OptimizerName) -> Run:
        found = range_test(subject, trainer, name, RATES, deadline.share(0.4))
        points.extend(found)
        optimizer = declared_optimizer(subject, name, best_rate(found))
        return trainer.run(optimizer, ask.steps, subject.seed, deadline, goal=ask.goal)

    alone = False
    if settings.learning_rate is not None:
        run = trainer.run(usual, ask.steps, seed, deadline.share(0.4), declared=True, goal=ask.goal)
        alone = _calm(run)
        yield run
    if not alone and (settings.learning_rate is not None or settings.optimizer is not None):
        yield at_best_rate(subject, usual.name)
    plain = _plain(subject)
    if not alone:
        adam = declared_optimizer(plain, OptimizerName.ADAM, USUAL_RATE)
        yield trainer.run(adam, ask.steps, seed, deadline.share(0.6), goal=ask.goal)
    if settings.optimizer is not OptimizerName.SGD or (not alone and plain.settings != settings):
        yield at_best_rate(plain, OptimizerName.SGD)


def _plain(subject: Subject) -> Subject:
    """Return the subject without what the caller declared of clipping, momentum and weight decay."""
    return subject.replace(settings=replace(subject.settings, clipping=None, momentum=None, weight_decay=0.0))


def _by_heart(subject: Subject, ask: Ask, deadline: Deadline) -> Iterator[Run]:
    """Train on a few samples: where targets are noise, all that can be learnt is single ones.

    Measured: healthy networks get below half of chance at one of the two rates, networks that fail stay above .65.
    """
    trainer = Trainer(subject, few=_FEW)
    for rate in (USUAL_RATE, 10 * USUAL_RATE):
        adam = declared_optimizer(subject, OptimizerName.ADAM, rate)
        run = trainer.run(adam, ask.steps, subject.seed, deadline, goal=BY_HEART)
        yield run
        if run.beaten:
            return


def _calm(run: Run) -> bool:
    """Whether a run learns without shooting up before."""
    return run.beaten and run.spike <= CALM


def range_test(
    subject: Subject, trainer: Trainer, name: OptimizerName, rates: Iterable[float], deadline: Deadline
) -> tuple[RatePoint, ...]:
    """Return short runs of the optimizer at these rates, each from the subject's own weights."""
    points: list[RatePoint] = []
    for rate in rates:
        run = trainer.run(declared_optimizer(subject, name, rate), RANGE_STEPS, subject.seed, deadline)
        if run.late:
            break
        points.append(RatePoint(run.optimizer, run.learning_rate, run.final, run.diverged))
    return tuple(points)


def best_rate(points: Sequence[RatePoint]) -> float:
    """Return the rate that ends lowest."""
    calm = [point for point in points if not point.diverged]
    return min(calm, key=lambda point: point.final).learning_rate if calm else RATES[0]


def _ranged(subject: Subject, trainer: Trainer, training: Training, deadline: Deadline) -> Training:
    """Try rates above that of the best run, half a decade apart, until one diverges: as many as a few seconds allow."""
    best, allowed = training.best, int(min(_RANGE_S / (RANGE_STEPS * max(trainer.step_s, _TINY)), _HIGHER))
    if best is None or not best.beaten or deadline.passed or allowed < 1:
        return training
    settings = subject.settings if _is_declared(subject, best) else Settings()
    plain, points = subject.replace(settings=settings), list(training.rates)
    for step in range(1, allowed + 1):
        rate = float(f"{best.learning_rate * 10 ** (step / 2):.3g}")
        found = range_test(plain, trainer, OptimizerName(best.optimizer), [rate], deadline)
        points.extend(found)
        if not found or found[0].diverged:
            break
    return replace(training, rates=tuple(points), ranged=True)


def _is_declared(subject: Subject, run: Run) -> bool:
    """Whether a run takes the caller's momentum, clipping and weight decay, and not the usual ones."""
    settings = subject.settings
    return run.declared or (settings.optimizer is not None and settings.optimizer == run.optimizer)


def _held_back(subject: Subject, trainer: Trainer, training: Training, deadline: Deadline) -> Training:
    """Run again without weight decay, penalties and dropout, where there are any and the network learns badly."""
    free = unregularized(subject)
    if free is None or not training.runs or deadline.passed:
        return training
    usual, first = usual_optimizer(subject), training.runs[0]
    steps, seed = training.steps, subject.seed
    decayed = subject.settings.weight_decay > 0 and not _is_declared(subject, first)
    run = trainer.run(usual, steps, seed, deadline.share(0.5)) if decayed else first
    if not run.diverged and run.final < _HELD_BACK * subject.loss.chance(subject.target):
        return training
    optimizer = declared_optimizer(free, OptimizerName(run.optimizer), run.learning_rate)
    if subject.settings.learning_rate is None:  # a rate that was chosen under the penalty says little without it
        optimizer = declared_optimizer(free, OptimizerName.ADAM, USUAL_RATE)
    return replace(training, regularized=run, unregularized=Trainer(free).run(optimizer, steps, seed, deadline))


def _complete(runs: list[Run], steps: int) -> bool:
    return all(len(run.losses) >= steps or run.beaten or run.diverged for run in runs)


def _concluded(training: Training) -> Training:
    """Add what the runs suggest: a rate that trained, and a clip limit from the norms that were measured."""
    best = training.best
    if best is None or not best.beaten:
        return training
    return replace(
        training,
        suggested_learning_rate=best.learning_rate,
        suggested_clip=_clip(training),
        stable_learning_rate=_stable(training.runs),
    )


def _clip(training: Training) -> float | None:
    """Return a percentile of the norms of the best run, where a run shot up or its norms have spikes."""
    best = training.best
    if best is None or not any(run.diverged or run.spike > CALM or spikes(run.gradient_norms) for run in training.runs):
        return None
    norms = sorted(norm for norm in best.gradient_norms if norm > 0)
    return norms[int(_CLIP_PERCENTILE * (len(norms) - 1))] if norms else None


def _stable(runs: tuple[Run, ...]) -> float | None:
    """Return the rate at which the declared optimizer learns calmly, where it does not at the declared one."""
    declared = next((run for run in runs if run.declared and not (run.beaten and run.spike <= CALM)), None)
    if declared is None:
        return None
    others = [run for run in runs if run is not declared and run.optimizer == declared.optimizer]
    return next((run.learning_rate for run in others if run.beaten), None)
