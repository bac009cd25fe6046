"""Finds numbers that the declared number format cannot hold."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, PrecisionEvidence, Rounding
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, absent, rule, several

_TOLD_BY = (
    Symptom.NON_FINITE,
    Symptom.INPUT_SCALE,
    Symptom.NO_GRADIENT,
    Symptom.VANISHING_GRADIENT,
    Symptom.EXPLODING_GRADIENT,
    Symptom.POOR_INIT_SCALE,
    Symptom.SLOW_LEARNING_RATE,
)


@rule("NUM02", Symptom.PRECISION_RANGE, order=55, aliases=["Underflow", "Overflow"], told_by=_TOLD_BY)
def precision_range(evidence: Evidence, *, lost: float = 0.5, made: float = 0.1, told: float = 0.5) -> Answer:
    """The declared number format cannot hold this model's numbers.

    What it measures
        Values, gradients and the optimizer's first step, rounded to `precision`.  Any value beyond the largest number;
        a kernel's gradient that loses half of its norm, mostly because numbers become zero; weights that go less than a
        tenth of the step, since most of it is less than their last digit.  Less than half is told without a warning.

    Why it matters
        An overflow is an infinity.  A gradient that rounds to zero teaches nothing, and neither does a step that is
        smaller than the weight's last digit.

    When it is wrong
        Mixed precision with a loss scale lifts gradients above float16's smallest number, and with float32 master
        weights no step is lost; `precision` means training without either.  Weights that come trained have small
        gradients for a better reason, so these are told without a warning.

    References
        Micikevicius et al. 2018 (arXiv 1710.03740); Zamirai et al. 2020 (arXiv 2010.06192).
    """
    precision = evidence.precision
    if precision is None:
        return absent(evidence, "training is meant to run in float32, in which everything is computed here")
    signs = [*_overflow(evidence, precision), *_flush(evidence, precision, lost), *_stall(precision, made, told)]
    if not signs:
        return CLEAR
    return Observation(
        " ".join(sign.said for sign in signs),
        Severity.WARNING if any(sign.warns for sign in signs) else Severity.INFO,
        tuple(place for sign in signs for place in sign.places)[:SHOWN_PLACES],
        {
            "overflowing_places": float(len(precision.overflows)),
            "largest_lost_share": max((each.lost for each in precision.weights), default=0.0),
            "largest_flushed_share": max((each.flushed for each in precision.weights), default=0.0),
            "stalled_share": precision.stalled,
            "step_made": precision.made,
        },
    )


@dataclass(frozen=True)
class _Sign:
    """One of the three things that a format can do."""

    said: str
    warns: bool
    places: tuple[Place, ...]


def _overflow(evidence: Evidence, precision: PrecisionEvidence) -> Iterator[_Sign]:
    if not precision.overflows:
        return
    first, worst = precision.overflows[0], max(precision.overflows, key=lambda each: each.largest)
    count = len(precision.overflows)
    yield _Sign(
        f"{several(count, 'value')} {'overflows' if count == 1 else 'overflow'} {precision.name}, whose largest number "
        f"is {precision.largest:.5g}: first at {evidence.called(first.node, first.op)}, where numbers reach "
        f"{first.largest:.3g}.",
        warns=True,
        places=tuple(
            Place(node=each.node, origin=each.origin, measured=each.largest, limit=precision.largest)
            for each in dict.fromkeys((first, worst))
        ),
    )


def _flush(evidence: Evidence, precision: PrecisionEvidence, lost: float) -> Iterator[_Sign]:
    kernels = [each for each in precision.weights if each.matrix]
    gone = [each for each in kernels if each.lost > lost]
    if not gone:
        return
    worst = max(gone, key=lambda each: each.lost)
    yield _Sign(
        f"The gradients of {len(gone)} of {len(kernels)} kernels lose more than {lost:.0%} of their norm to "
        f"{precision.name}: at {_called(evidence, worst)} {worst.flushed:.0%} of the numbers round to zero (their root "
        f"mean square is {worst.rms:.1e}, and less than {precision.smallest:.1e} is zero). {_needs(precision)}",
        warns=not evidence.converged,
        places=tuple(
            Place(node=each.node, origin=each.origin, parameter=each.parameter, measured=each.lost, limit=lost)
            for each in dict.fromkeys((gone[0], worst))
        ),
    )


def _needs(precision: PrecisionEvidence) -> str:
    if precision.loss_scale == 1:
        return "The loss needs a scale."
    return f"The loss's scale of {precision.loss_scale:g} does not help."


def _stall(precision: PrecisionEvidence, made: float, told: float) -> Iterator[_Sign]:
    if precision.made >= told:
        return
    limit = made if precision.made < made else told
    worst = max(precision.weights, key=lambda each: (1 - each.made) * each.moving)
    yield _Sign(
        f"Kept in {precision.name}, the weights go {precision.made:.0%} of the optimizer's first step ({limit:.0%} is "
        f"the limit), and {precision.stalled:.0%} of them do not move at all: it is smaller than their last digit. "
        "Master weights in float32 would move.",
        warns=precision.made < made,
        places=(
            Place(node=worst.node, origin=worst.origin, parameter=worst.parameter, measured=worst.made, limit=limit),
        ),
    )


def _called(evidence: Evidence, weight: Rounding) -> str:
    return evidence.called(weight.node) if weight.node else weight.parameter
