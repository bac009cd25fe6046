"""Other optimizers, each at its usual rate."""

from dataclasses import replace
from typing import Final

from service.contract.words import OptimizerName, Symptom, TreatmentKind
from worker.optimizers import DIVIDING, Optimizer
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_USUAL: Final = {
    OptimizerName.ADAM: 1e-3,
    OptimizerName.NADAM: 1e-3,
    OptimizerName.RMSPROP: 1e-3,
    OptimizerName.ADAGRAD: 1e-2,
    OptimizerName.MOMENTUM: 1e-2,
    OptimizerName.SGD: 1e-2,
}
_INERTIA: Final = 10.0
"""What momentum of 0.9 multiplies a steady step by."""
_SENSIBLE: Final = 30.0
"""Times the usual rate within which a declared rate is kept for an optimizer of the same family."""
_HINTS: Final = Hints(
    torch="optimizer = $torch",
    keras="model.compile(optimizer=$keras, loss=model.loss)",
)


@treatment(
    "adam",
    TreatmentKind.OPTIMIZER,
    {
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.STALLED_TRAINING,
        Symptom.SLOW_LEARNING_RATE,
        Symptom.UNSTABLE_LEARNING_RATE,
    },
    cost=1,
    retrains=False,
    hints=_HINTS,
)
def adam(subject: Subject, evidence: Evidence) -> Outcome:
    """Train with Adam

    What it changes
        The optimizer becomes Adam, at the declared rate where that suits it, else at 0.001.

    Why it helps
        Steps are divided by the running size of each weight's gradient, so layers whose gradients differ by decades
        move alike, and a gradient that is large throughout makes no large step.

    When it is wrong
        It hides scale and restores no signal: measured, plain networks that pass e⁻¹⁶ of the gradient still learn under
        it, those that pass e⁻³⁴ do not.  It wakes no dead unit.  Where the network is sound, it is a matter of taste.

    References
        Kingma and Ba 2015 (arXiv 1412.6980).
    """
    return _exchanged(OptimizerName.ADAM, subject, evidence)


@treatment("nadam", TreatmentKind.OPTIMIZER, {Symptom.VANISHING_GRADIENT}, cost=1, retrains=False, hints=_HINTS)
def nadam(subject: Subject, evidence: Evidence) -> Outcome:
    """Train with Nadam

    What it changes
        The optimizer becomes Nadam, at the declared rate where that suits it, else at 0.001.

    Why it helps
        It is Adam with Nesterov's momentum, which looks a step ahead: layers whose gradients differ by decades move
        alike.

    When it is wrong
        As Adam does, it hides scale and restores no signal that was lost on the way back.

    References
        Dozat 2016, Incorporating Nesterov Momentum into Adam.
    """
    return _exchanged(OptimizerName.NADAM, subject, evidence)


@treatment(
    "rmsprop",
    TreatmentKind.OPTIMIZER,
    {Symptom.VANISHING_GRADIENT, Symptom.EXPLODING_GRADIENT},
    cost=1,
    retrains=False,
    hints=_HINTS,
)
def rmsprop(subject: Subject, evidence: Evidence) -> Outcome:
    """Train with RMSprop

    What it changes
        The optimizer becomes RMSprop, at the declared rate where that suits it, else at 0.001.

    Why it helps
        Steps are divided by the root of the running mean of the gradient's squares: small gradients count as much as
        large ones.

    When it is wrong
        It hides scale and restores no signal.  Its first steps are some three times as long as Adam's at the same rate.

    References
        Tieleman and Hinton 2012, lecture 6.5; Graves 2013 (arXiv 1308.0850).
    """
    return _exchanged(OptimizerName.RMSPROP, subject, evidence)


@treatment("adagrad", TreatmentKind.OPTIMIZER, {Symptom.EXPLODING_GRADIENT}, cost=1, retrains=False, hints=_HINTS)
def adagrad(subject: Subject, evidence: Evidence) -> Outcome:
    """Train with Adagrad

    What it changes
        The optimizer becomes Adagrad, at the declared rate where that suits it, else at 0.01.

    Why it helps
        Steps are divided by the root of the sum of all squares of the gradient so far, so one that explodes makes the
        next steps small.

    When it is wrong
        The sum only grows, so steps fade in long training.  It restores no signal that vanished.

    References
        Duchi, Hazan and Singer 2011, JMLR 12.
    """
    return _exchanged(OptimizerName.ADAGRAD, subject, evidence)


@treatment(
    "momentum",
    TreatmentKind.OPTIMIZER,
    {Symptom.SLOW_LEARNING_RATE, Symptom.STALLED_TRAINING},
    cost=1,
    retrains=False,
    hints=_HINTS,
)
def momentum(subject: Subject, evidence: Evidence) -> Outcome:
    """Train with momentum

    What it changes
        The optimizer becomes gradient descent with a momentum of 0.9, at a tenth of the rate that the training trial
        found for plain descent, or at 0.01.

    Why it helps
        Steps that agree add up to ten times their length, and those that turn cancel: long valleys are gone down
        faster.

    When it is wrong
        It multiplies what is there: a gradient that vanished stays so.  At the same rate it diverges sooner than plain
        descent where gradients are noisy.

    References
        Polyak 1964; Sutskever et al. 2013.
    """
    return _exchanged(OptimizerName.MOMENTUM, subject, evidence)


@treatment("sgd", TreatmentKind.OPTIMIZER, cost=1, retrains=False, hints=_HINTS)
def sgd(subject: Subject, evidence: Evidence) -> Outcome:
    """Train with plain gradient descent

    What it changes
        The optimizer becomes gradient descent without momentum, at the rate that the training trial's range test found,
        or at 0.01.

    Why it helps
        It shows what the gradient itself does, and what it finds often holds better on other data than what Adam finds.

    When it is wrong
        Nearly always as a cure: of all optimizers it bears unequal scales of layers worst, so it is tried on request.

    References
        Wilson et al. 2017 (arXiv 1705.08292).
    """
    return _exchanged(OptimizerName.SGD, subject, evidence)


def _exchanged(name: OptimizerName, subject: Subject, evidence: Evidence) -> Outcome:
    """Return the subject trained with an optimizer; not where it is its optimizer already."""
    settings = subject.settings
    if (settings.optimizer or OptimizerName.ADAM) is name:
        told = "declared already" if settings.optimizer else "what training takes where none is declared"
        return Inapplicable(f"The optimizer {name} is {told}.")
    if not any(each.trainable for each in subject.graph.parameters.values()):
        return Inapplicable("No weight is trained, so no optimizer moves anything.")
    rate, why = _rate(name, subject, evidence)
    made = replace(settings, optimizer=name, learning_rate=rate, momentum=None)
    instead = f" in place of {settings.optimizer}" if settings.optimizer else ""
    return Change(
        subject.replace(settings=made),
        (f"Train with {name}{instead} at a rate of {rate:g}, {why}.",),
        Optimizer(name, rate, weight_decay=settings.weight_decay).written(),
    )


def _rate(name: OptimizerName, subject: Subject, evidence: Evidence) -> tuple[float, str]:
    """Return the rate for an optimizer and where it comes from: what was declared, what was measured, or its usual."""
    settings, usual = subject.settings, _USUAL[name]
    rate = settings.learning_rate
    related = (settings.optimizer in DIVIDING) == (name in DIVIDING) and settings.optimizer is not None
    if rate is not None and related and 1 / _SENSIBLE <= rate / usual <= _SENSIBLE:
        return rate, "the declared one"
    found = _tested(evidence)
    if name in DIVIDING or found is None:
        return usual, "its usual one"
    if name is OptimizerName.SGD:
        return found, "the best of the range test"
    return float(f"{found / _INERTIA:.3g}"), f"a tenth of the best for plain descent, {found:g}"


def _tested(evidence: Evidence) -> float | None:
    """Return the rate at which the range test of plain gradient descent ended lowest."""
    points = evidence.training.rates if evidence.training else ()
    calm = [point for point in points if point.optimizer == OptimizerName.SGD and not point.diverged]
    return float(f"{min(calm, key=lambda point: point.final).learning_rate:.3g}") if calm else None
