"""Finds settings of an optimizer that do something else than their names say."""

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Declared, Evidence
from worker.rules import CLEAR, Answer, Observation, Silence, rule

_BY_SQUARES = frozenset({"adam", "nadam", "rmsprop", "adagrad"})
"""Optimizers that divide the gradient by a memory of its squares."""
_WITHOUT_MOMENTUM = frozenset({"adam", "nadam", "adamw", "adagrad"})
"""Optimizers that have no such setting, or another one in its place."""


@rule("OPT02", Symptom.OVER_REGULARIZATION, order=62, aliases=["L2 with Adam"])
def optimizer_settings(evidence: Evidence) -> Answer:
    """A setting of the optimizer does not do what its name says.

    What it measures
        The declared settings: weight decay with an optimizer that divides the gradient by the root of its squares, and
        momentum with one that has no such setting.

    Why it matters
        Adam's weight decay is a penalty whose gradient is divided like the loss's: weights with large gradients hardly
        decay, those with small ones decay fast.  AdamW takes the decay apart from the gradient, by the same rate for
        all.

    When it is wrong
        Where the penalty was tuned together with Adam, it does what it was tuned to.  It is a note, never more.

    References
        Loshchilov and Hutter 2019 (arXiv 1711.05101).
    """
    settings = evidence.declared
    if settings is None or settings.optimizer is None:
        return Silence("not_applicable", "no optimizer was declared")
    said = " ".join(filter(None, (_decay(settings), _momentum(settings))))
    if not said:
        return CLEAR
    measured = settings.weight_decay if _decay(settings) else settings.momentum or 0.0
    return Observation(
        said, Severity.INFO, (Place(node="optimizer", measured=measured, limit=0),), {"setting": measured}
    )


def _decay(settings: Declared) -> str:
    if settings.weight_decay <= 0 or settings.optimizer not in _BY_SQUARES:
        return ""
    instead = "AdamW decays all weights alike" if settings.optimizer in {"adam", "nadam"} else "a decoupled decay would"
    return (
        f"The weight decay of {settings.weight_decay:g} with {settings.optimizer} is a penalty that is divided by the "
        f"gradient's size like the rest, so weights with large gradients hardly decay; {instead}."
    )


def _momentum(settings: Declared) -> str:
    if not settings.momentum or settings.optimizer not in _WITHOUT_MOMENTUM:
        return ""
    return f"{settings.optimizer} has no momentum setting: the {settings.momentum:g} that is given is not used."
