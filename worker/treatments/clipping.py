"""Gradient clipping at a limit that was measured."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from service.contract.options import Clipping
from service.contract.words import Symptom, TreatmentKind
from worker.course import Run
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

PERCENTILE: Final = 0.9
"""Share of the measured steps whose norm stays under the limit."""
BEYOND: Final = 3.0
"""Root mean squares at which a single number is cut: of normal numbers, 3 in a thousand are larger."""
FADED: Final = 1e-6
"""A norm under which there is nothing that a limit could bound."""
USUAL: Final = 1.0
CALM: Final = 10.0
"""How many times its start a loss may reach in a run whose norms are taken."""
_NEAR: Final = 10.0
"""Times what was measured within which a declared limit is left as it is."""


@treatment(
    "clip-norm",
    TreatmentKind.CLIPPING,
    {
        Symptom.EXPLODING_GRADIENT,
        Symptom.UNSTABLE_LEARNING_RATE,
        Symptom.GRADIENT_SPIKES,
        Symptom.VANISHING_GRADIENT,
        Symptom.RECURRENT_GAIN,
        Symptom.STALLED_TRAINING,
    },
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            loss_fn(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), $limit)
            optimizer.step()
        """,
        keras="model.optimizer.global_clipnorm = $limit",
    ),
)
def clip_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Clip gradients by their norm

    What it changes
        Before each step the whole gradient is scaled down to at most a norm that nine of ten steps of the training
        trial stayed under; to 1, as is usual, where they had faded, or where nothing learnt and they are larger.  A
        declared limit more than ten times off is exchanged.

    Why it helps
        A spike no longer throws the weights far away, and a diverging rate may become usable.  The direction of the
        step stays.

    When it is wrong
        It scales gradients down and so can do nothing against vanishing: measured on 31 sick networks, it cured as many
        as no change at all.  Exploding stays as it is, only bounded.  Adam divides by the gradient's size anyhow.

    References
        Pascanu et al. 2013 (arXiv 1211.5063); Seetharaman et al. 2020 (arXiv 2007.14469): the percentile.
    """
    found = _measured(evidence)
    if found is None:
        return Inapplicable("No gradient norm was measured in training to clip at.")
    before = subject.settings.clipping
    if before is not None and not (before.kind == "norm" and _far(before.limit, found.limit)):
        return _declared(before)
    instead = f", not at {before.limit:g}" if before else ""
    said = f"Clip the gradient's norm at {found.limit:g}{instead}{found.reason}."
    return Change(_clipped(subject, "norm", found.limit), (said,), {"limit": f"{found.limit:g}"})


@treatment(
    "clip-value",
    TreatmentKind.CLIPPING,
    {Symptom.EXPLODING_GRADIENT},
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            loss_fn(model(x), y).backward()
            nn.utils.clip_grad_value_(model.parameters(), $limit)
            optimizer.step()
        """,
        keras="model.optimizer.clipvalue = $limit",
    ),
)
def clip_value(subject: Subject, evidence: Evidence) -> Outcome:
    """Clip each number of the gradient

    What it changes
        Before each step every number of the gradient is cut to at most three times its typical size: the norm that
        `clip-norm` would clip at, by the root of the number of trained weights.

    Why it helps
        No single weight can be thrown far away, whatever the others do.

    When it is wrong
        It turns the step's direction, since the layers with large gradients are cut and the others are not; clipping
        by the norm does not.  At a constant such as a million it never acts; against vanishing it does nothing.

    References
        Mikolov 2012, Statistical Language Models Based on Neural Networks, section 3.2.2; Goodfellow, Bengio and
        Courville 2016, section 10.11.1.
    """
    found, count = _measured(evidence), _trained(subject)
    if found is None or not count:
        return Inapplicable("No gradient norm was measured in training to take the limit from.")
    before = subject.settings.clipping
    if before is not None:
        return _declared(before)
    limit = _rounded(BEYOND * found.limit / math.sqrt(count))
    said = f"{BEYOND:g} times a typical one of {count} in a gradient with a norm of {found.limit:g}{found.reason}"
    return Change(
        _clipped(subject, "value", limit),
        (f"Clip each number of the gradient at ±{limit:g}, {said}.",),
        {"limit": f"{limit:g}"},
    )


@dataclass(frozen=True)
class _Measured:
    """A limit for the norm, and where it comes from."""

    limit: float
    reason: str


def _measured(evidence: Evidence) -> _Measured | None:
    """Return the norm that most steps of a run that learns stay under, or the usual limit; None without a norm."""
    calm, norms = _norms(evidence)
    if not norms:
        return None
    typical, steps = _rounded(_at_percentile(norms)), len(norms)
    if typical < FADED:
        return _Measured(
            USUAL, f", as is usual; nine of ten of {steps} measured norms are under {typical:g}, far below"
        )
    if not calm and typical > USUAL:
        return _Measured(USUAL, f", as is usual; nothing learns calmly here, at norms up to {_rounded(norms[-1]):g}")
    return _Measured(typical, f", under which nine of ten of {steps} measured norms lie")


def _norms(evidence: Evidence) -> tuple[bool, list[float]]:
    """Return whether a run learns calmly, and its norms in ascending order, without zeros and what is not finite.

    Of several it is that which comes lowest; where none does, it is the lowest of all.
    """
    training = evidence.training
    calm = [run for run in training.runs if _is_calm(run)] if training else []
    run = min(calm, key=lambda each: each.lowest, default=training.best if training else None)
    return bool(calm), sorted(norm for norm in run.gradient_norms if 0 < norm < math.inf) if run else []


def _is_calm(run: Run) -> bool:
    return run.beaten and not run.by_heart and run.spike <= CALM


def _at_percentile(norms: list[float]) -> float:
    return norms[int(PERCENTILE * (len(norms) - 1))]


def _trained(subject: Subject) -> int:
    return sum(each.value.numel() for each in subject.graph.parameters.values() if each.trainable)


def _rounded(limit: float) -> float:
    """Return three digits of a limit, as they are told."""
    return float(f"{limit:.3g}")


def _far(declared: float, limit: float) -> bool:
    return not 1 / _NEAR <= declared / limit <= _NEAR


def _declared(before: Clipping) -> Inapplicable:
    return Inapplicable(f"Clipping of the kind {before.kind} at {before.limit:g} is declared already.")


def _clipped(subject: Subject, kind: Literal["norm", "value"], limit: float) -> Subject:
    return subject.replace(settings=replace(subject.settings, clipping=Clipping(kind=kind, limit=limit)))
