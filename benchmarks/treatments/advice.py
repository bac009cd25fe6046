"""Advice that is given without a look at the model: single treatments by name, and settings that no treatment makes."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from service.contract.options import Clipping
from service.contract.problem import Trouble
from service.contract.words import OptimizerName, TreatmentKind
from worker.probe.evidence import Evidence
from worker.subject import Settings, Subject
from worker.treatments import Apply, Change, Inapplicable, Outcome, treatments

USUAL_RATE: Final = 1e-3
TRAINING: Final = frozenset({TreatmentKind.CLIPPING, TreatmentKind.LEARNING_RATE, TreatmentKind.OPTIMIZER})
"""Kinds of treatments that change how a network is trained, and not the network."""
_KERAS_RATES: Final = {OptimizerName.SGD: 1e-2, OptimizerName.NADAM: 2e-3}
"""Keras's own rates of optimizers; 1e-3 where none is named."""


def rated(factor: float) -> Apply:
    """Return advice to multiply the declared rate, which is Adam's usual one where none is declared."""

    def apply(subject: Subject, evidence: Evidence) -> Outcome:
        settings = subject.settings
        name, rate = settings.optimizer or OptimizerName.ADAM, factor * (settings.learning_rate or USUAL_RATE)
        return _set(subject, f"Use a rate of {rate:g}.", optimizer=name, learning_rate=rate)

    return apply


def declared_rated(factor: float) -> Apply:
    """Return the same, but for a model that declares no rate: the check tries many."""

    def apply(subject: Subject, evidence: Evidence) -> Outcome:
        if subject.settings.learning_rate is None:
            return Inapplicable("No rate is declared.")
        return rated(factor)(subject, evidence)

    return apply


def optimized(name: OptimizerName, momentum: float | None = None) -> Apply:
    """Return advice to train with an optimizer at Keras's own rate."""

    def apply(subject: Subject, evidence: Evidence) -> Outcome:
        if subject.settings.optimizer is name:
            return Inapplicable(f"It is trained with {name} already.")
        rate = _KERAS_RATES.get(name, USUAL_RATE)
        return _set(subject, f"Train with {name}.", optimizer=name, learning_rate=rate, momentum=momentum)

    return apply


def clipped(limit: float) -> Apply:
    """Return advice to clip each gradient's value."""

    def apply(subject: Subject, evidence: Evidence) -> Outcome:
        if subject.settings.clipping is not None:
            return Inapplicable("Clipping is declared already.")
        return _set(subject, f"Clip at {limit:g}.", clipping=Clipping(kind="value", limit=limit))

    return apply


SETTINGS: Final[Mapping[str, Apply]] = {
    "rate / 10": declared_rated(0.1),
    "rate × 10": declared_rated(10),
    "Adam": optimized(OptimizerName.ADAM),
    "clip values at 10": clipped(10),
    **{f"rate × 1e{power}": rated(10**power) for power in (-3, -2, -1, 1, 2, 3)},
    **{f"Keras's {name}": optimized(name) for name in OptimizerName},
    **{f"SGD with momentum {share}": optimized(OptimizerName.MOMENTUM, share) for share in (0.3, 0.6, 0.9)},
}
"""Settings by what they are called in the results."""

_ADVISED: Final[Sequence[str]] = (
    "critical-init",
    "he-init",
    "xavier-init",
    "orthogonal-init",
    "lsuv-init",
    "relu",
    "selu",
    "tanh",
    "leaky-relu",
    "batch-norm",
    "layer-norm",
    "add-skips",
    "residual-scale",
    "clip-norm",
    "clip-value",
    "l2",
    "dropout",
    "standardize-input",
)


def generic() -> list[str]:
    """Return the advice that is applied blindly: the usual treatments that there are, and three settings."""
    return [*(name for name in _ADVISED if name in treatments), "Adam", "rate / 10", "rate × 10"]


def of_settings(name: str) -> bool:
    """Whether advice changes how a network is trained, and goes by what training shows."""
    return name in SETTINGS or treatments[name].kind in TRAINING


def advised(subject: Subject, evidence: Evidence, names: Sequence[str]) -> tuple[Subject, list[str]]:
    """Return a copy with this advice applied in turn, and why some of it has nothing to change."""
    reasons: list[str] = []
    for name in names:
        apply = SETTINGS[name] if name in SETTINGS else treatments[name].apply
        try:
            made = apply(subject, evidence)
        except Trouble as trouble:
            made = Inapplicable(str(trouble))
        if isinstance(made, Inapplicable):
            reasons.append(f"{name}: {made.reason}")
        else:
            subject = made.subject
    return subject, reasons


def by_chance(applies: Callable[[Sequence[str]], bool], count: int, seed: str) -> tuple[str, ...]:
    """Return so many different treatments, drawn from all that apply behind one another; fewer where no more do."""
    order = sorted(treatments)
    random.Random(seed).shuffle(order)  # noqa: S311  nothing secret
    chosen: tuple[str, ...] = ()
    for name in order:
        if len(chosen) < count and applies((*chosen, name)):
            chosen = (*chosen, name)
    return chosen


def _set(subject: Subject, change: str, **settings: object) -> Change:
    changed: Settings = replace(subject.settings, **settings)  # type: ignore[arg-type]
    return Change(subject.replace(settings=changed), (change,))
