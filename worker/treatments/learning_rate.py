"""The learning rate: one that was tried, or one that the curvature bears."""

import math
from dataclasses import replace
from typing import Final

from service.contract.words import OptimizerName, Symptom, TreatmentKind
from worker.course import Run
from worker.optimizers import DIVIDING, Optimizer
from worker.probe.evidence import Evidence, Training
from worker.subject import Settings, Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_USUAL: Final = {True: 1e-3, False: 1e-2}
"""The usual rate of optimizers that divide by the gradient's size, and of those that do not."""
_ABSURD: Final = 1e3
"""Times the usual rate, or parts of it, beyond which a rate needs no trial to be called wrong."""
_LOST: Final = 0.999
"""Share of the best constant's loss at which a run that had learnt has lost it."""
_SWINGING: Final = 0.25
"""Share of later steps that cost more than the start, above which a run jumps about."""
_TENTH: Final = 0.1
_ALIKE: Final = 1.25
"""Times a rate within which another is the same."""

_HINTS: Final = Hints(
    torch="optimizer = $torch",
    keras="model.compile(optimizer=$keras, loss=model.loss)",
)


@treatment(
    "learning-rate",
    TreatmentKind.LEARNING_RATE,
    {Symptom.UNSTABLE_LEARNING_RATE, Symptom.SLOW_LEARNING_RATE, Symptom.GRADIENT_SPIKES},
    cost=1,
    retrains=False,
    hints=_HINTS,
)
def learning_rate(subject: Subject, evidence: Evidence) -> Outcome:
    """Use the learning rate that trained

    What it changes
        The declared rate gives way to the one at which the training trial's range test let the same optimizer learn the
        batch; where there is none, optimizer and rate give way to those that learnt it.  A rate that learns but swings
        is divided by ten, and one a thousand times off becomes the usual one where nothing trained.

    Why it helps
        The declared rate was tried and diverged, swung or stood still; this one was tried and did not.

    When it is wrong
        The best rate of the first two hundred steps is not the best of a whole schedule, and fine-tuning takes small
        steps on purpose.  One rate cannot fit layers whose gradients differ by decades: against vanishing it does
        nothing.

    References
        Smith 2017 (arXiv 1506.01186): the learning-rate range test.
    """
    training, settings = evidence.training, subject.settings
    if training is None or not training.runs:
        return Inapplicable("No learning rate was tried on this network.")
    for found in (_same_optimizer(settings, training), _what_learnt(settings, training)):
        if found is not None:
            return _changed(subject, *found)
    return _without_a_trial(subject, evidence, training)


def _same_optimizer(settings: Settings, training: Training) -> tuple[Settings, str] | None:
    """Return the rate at which the declared optimizer learns, where it does not at the declared one."""
    rate = training.stable_learning_rate
    if rate is None or settings.learning_rate is None or _alike(rate, settings.learning_rate):
        return None
    said = f"at which the trial learnt the batch calmly, in place of {settings.learning_rate:g}"
    return replace(settings, learning_rate=rate), said


def _what_learnt(settings: Settings, training: Training) -> tuple[Settings, str] | None:
    """Return the way of training that learnt the batch, which is not the declared one."""
    best = training.best
    if best is None or not best.beaten or best.declared or _is_usual(settings, best):
        return None
    name = OptimizerName(best.optimizer)
    said = f"which brought the loss from {best.losses[0]:.3g} to {best.lowest:.3g} in {len(best.losses)} steps"
    if settings.optimizer == name:
        return replace(settings, learning_rate=best.learning_rate), said
    left = _left(settings)
    plain = replace(settings, clipping=None, momentum=None, weight_decay=0.0) if left else settings
    said += f", without the declared {left}" if left else ""
    return replace(plain, optimizer=name, learning_rate=best.learning_rate), said


def _is_usual(settings: Settings, best: Run) -> bool:
    """Whether a run trained as nothing declared says already: with Adam at its usual rate."""
    silent = settings.optimizer is None and settings.learning_rate is None
    return silent and best.optimizer == OptimizerName.ADAM and _alike(best.learning_rate, _USUAL[True])


def _left(settings: Settings) -> str:
    """Return the settings that the usual ways of training were tried without."""
    named = {
        "clipping": settings.clipping is not None,
        "momentum": settings.momentum is not None,
        "weight decay": settings.weight_decay > 0,
    }
    return " and ".join(name for name, given in named.items() if given)


def _without_a_trial(subject: Subject, evidence: Evidence, training: Training) -> Outcome:
    """Return what becomes of a declared rate beside which no other was tried, or none learnt."""
    settings, run = subject.settings, training.declared
    rate = settings.learning_rate
    if rate is None or run is None:
        return Inapplicable("No learning rate is declared, and none was found that trains better than the usual one.")
    usual = _USUAL[(settings.optimizer or OptimizerName.ADAM) in DIVIDING]
    if fault := _fault(run, evidence.loss.chance):
        said = f"a tenth of the declared {rate:g}, at which {fault}"
        return _changed(subject, replace(settings, learning_rate=_TENTH * rate), said)
    if not run.beaten and not 1 / _ABSURD < rate / usual < _ABSURD:
        said = f"the usual one, in place of {rate:g}; at neither a higher nor a lower one was the batch learnt"
        return _changed(subject, replace(settings, learning_rate=usual), said)
    return Inapplicable(f"No rate but the declared one of {rate:g} was found to train.")


def _fault(run: Run, chance: float) -> str:
    """Return what is wrong with a run that learnt; nothing where it stays learnt, or was never."""
    half = run.losses[len(run.losses) // 2 :]
    high = sum(loss > max(run.losses[0], chance) for loss in half) / max(len(half), 1)
    if run.beaten and run.final >= _LOST * chance:
        return "the batch was learnt and lost again"
    if run.beaten and high > _SWINGING:
        return f"{high:.0%} of the later steps cost more than the start"
    return ""


def _alike(rate: float, other: float) -> bool:
    return 1 / _ALIKE <= rate / other <= _ALIKE


def _changed(subject: Subject, settings: Settings, why: str) -> Change:
    name, rate = settings.optimizer or OptimizerName.ADAM, float(f"{settings.learning_rate:.3g}")
    made = replace(settings, optimizer=name, learning_rate=rate)
    written = Optimizer(name, rate, made.momentum, made.weight_decay).written()
    return Change(subject.replace(settings=made), (f"Train with {name} at a rate of {rate:g}, {why}.",), written)


@treatment(
    "curvature-rate",
    TreatmentKind.LEARNING_RATE,
    {Symptom.UNSTABLE_LEARNING_RATE, Symptom.SLOW_LEARNING_RATE},
    cost=1,
    retrains=False,
    hints=_HINTS,
)
def curvature_rate(subject: Subject, evidence: Evidence) -> Outcome:
    """Take the learning rate from the curvature

    What it changes
        The learning rate becomes half of what the sharpest direction of the loss bears: 1/λ for gradient descent, λ
        being the Hessian's largest eigenvalue at the start, (1+β)/λ with momentum, 19/λ(P⁻¹H) for Adam.

    Why it helps
        At 1/λ the sharpest direction is left with one step, and none grows.

    When it is wrong
        Often too careful: the best rates of small networks were measured at two to four times the critical one.
        Curvature rises in the first steps, and where gradients fade it is near zero and the rate comes out absurd.

    References
        LeCun et al. 1998, Efficient BackProp, section 5; Cohen et al. 2022 (arXiv 2207.14484) for Adam.
    """
    sharp, settings = evidence.sharpness, subject.settings
    if sharp is None:
        return Inapplicable("The curvature was not measured: it takes a declared rate or a deep examination.")
    name = settings.optimizer or OptimizerName.ADAM
    if sharp.optimizer != name or not 0 < sharp.critical_rate < math.inf:
        return Inapplicable(f"The curvature bears no finite rate for {name}.")
    rate = sharp.critical_rate / 2
    if settings.learning_rate is not None and _alike(rate, settings.learning_rate):
        return Inapplicable(f"The declared rate of {settings.learning_rate:g} is what the curvature bears.")
    said = f"half of what the sharpest direction bears (curvature {sharp.preconditioned:.3g})"
    return _changed(subject, replace(settings, learning_rate=rate), said)
