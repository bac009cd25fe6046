"""Judges the end-to-end gradient gain: where it vanishes, and where it explodes."""

import math
from dataclasses import dataclass
from typing import Final

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker.probe.evidence import Evidence, Gain, Segment
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, rule, weigh

_NATS_PER_DECADE: Final = 2 * math.log(10)


@rule("GRD01", Symptom.VANISHING_GRADIENT, order=40, aliases=["VanishingGradient", "GradientVanish"])
def vanishing_gradient(evidence: Evidence, *, note: float = 3.0, risk: float = 6.0) -> Answer:
    """The gradient fades on its way back to the first layers.

    What it measures
        G, the natural logarithm of how much the squared norm of a random cotangent changes from the last hidden cut
        of the graph back to the first, and the same from the typical layer.  Below -6 by both is at risk; -3 to -6
        is a note.

    Why it matters
        A network is trainable while its depth is within about six of its depth scales, that is |G| < 6.  Beyond,
        the first layers receive nothing that one learning rate could use, and their output no longer tells samples
        apart.

    When it is wrong
        Adaptive optimizers train some networks down to G = -16; the training trial decides whether this rejects.
        A trained model may have small gains on purpose.  Networks whose branches all run in parallel have few cuts.

    References
        Schoenholz et al. 2017 (arXiv 1611.01232); Hanin and Nica 2018 (arXiv 1812.05994); Glorot and Bengio 2010.
    """
    return _judge(evidence, -1, _Limits(note, risk))


@rule("GRD02", Symptom.EXPLODING_GRADIENT, order=40, aliases=["ExplodingTensor", "GradientExplode"])
def exploding_gradient(evidence: Evidence, *, note: float = 3.0, risk: float = 6.0) -> Answer:
    """The gradient grows on its way back to the first layers.

    What it measures
        G, as for GRD01; above +6 by total and by trend is at risk, +3 to +6 is a note.

    Why it matters
        Where the gradient of an early layer is e³ times that of a late one, a step that is safe for the first is
        nothing for the last; small changes of the input become large changes of the output.

    When it is wrong
        Residual networks with normalization grow as a power of depth, which is harmless; the trend of the later half is
        taken into account for that.  The training trial decides whether this rejects.

    References
        Yang et al. 2019 (arXiv 1902.08129: batch normalization without skips explodes); Pascanu et al. 2013.
    """
    return _judge(evidence, 1, _Limits(note, risk))


@dataclass(frozen=True)
class _Limits:
    """Magnitudes of G at which a gain is worth a note, and at which it is at risk."""

    note: float
    risk: float


def _judge(evidence: Evidence, sign: int, limits: _Limits) -> Answer:
    """Judge the end-to-end gain in one direction: `sign` is -1 for vanishing, +1 for exploding."""
    gain = evidence.gain
    if gain is None:
        return Silence("not_applicable", "fewer than two hidden layers stand in a row, or the run was not finite")
    if not math.isfinite(gain.total):
        return Silence("could_not_judge", "no finite gradient comes back from the last hidden layer to the first")
    size = sign * gain.rate
    if size < limits.note:
        return CLEAR
    at_risk = size >= limits.risk
    fair = sign * limits.risk / len(gain.segments)
    worst = sorted(gain.segments, key=lambda segment: -sign * segment.gain)
    beyond = [segment for segment in worst if sign * segment.gain >= sign * fair]
    verb = "shrinks" if sign < 0 else "grows"
    count = sum(segment.layers for segment in gain.segments)
    layers = f"{count} layer{'s' if count > 1 else ''}"
    return Observation(
        f"On its way back over {layers} the gradient {verb} by a factor of {_factor(gain.total)} "
        f"(ln of squared gain {gain.total:+.1f}; beyond {sign * limits.risk:+g} is at risk). "
        f"{_where(evidence, gain, worst[0], sign)}{_trained(evidence)}",
        weigh(evidence) if at_risk else Severity.INFO,
        tuple(_place(segment, fair) for segment in (beyond or worst[:1])[:SHOWN_PLACES]),
        {
            "gain": gain.total,
            "typical_gain": gain.typical,
            "late_gain": gain.late,
            "forward_gain": gain.forward,
            "collapse": gain.collapse,
            "standard_error": gain.standard_error,
        },
        _confidence(gain, limits.risk if at_risk else limits.note),
    )


def _trained(evidence: Evidence) -> str:
    """Say under which optimizer the network trains all the same, where it does not under the other."""
    runs = evidence.training.runs if evidence.training else ()
    well = [run.optimizer for run in runs if run.beaten]
    ill = [run.optimizer for run in runs if not run.beaten and run.optimizer not in well]
    return f" It learns the batch under {well[0]}, but not under {ill[0]}." if well and ill else ""


def _factor(gain: float) -> str:
    """Say how many times a norm changes, given ln of its square."""
    decades = abs(gain) / _NATS_PER_DECADE
    return f"{10**decades:.1f}" if decades < 2 else f"10^{decades:.1f}"  # noqa: PLR2004  100 and more read as powers


def _confidence(gain: Gain, limit: float) -> float:
    """Return how sure it is that |rate| lies beyond `limit`, for a normal error of the cotangents and of the draw."""
    sigma = math.hypot(gain.standard_error, gain.sampling)
    distance = abs(gain.rate) - limit
    if sigma == 0:
        return 1.0
    return round(0.5 * (1 + math.erf(distance / sigma / math.sqrt(2))), 3)


def _where(evidence: Evidence, gain: Gain, worst: Segment, sign: int) -> str:
    share = worst.gain / gain.total if gain.total else 0.0
    if share > 0.5 and len(gain.segments) > 2:  # noqa: PLR2004  one of several is to blame for most of it
        start, end = evidence.called(worst.start), evidence.called(worst.end)
        stretch = f"within {start}" if start == end else f"between {start} and {end}"
        return f"Most of it happens {stretch} ({', '.join(worst.operators)})."
    each = math.exp(gain.typical / len(gain.segments) / 2)
    does = f"keeps {each:.0%} of it" if sign < 0 else f"multiplies it by {each:.2f}"
    return f"It happens everywhere: the typical layer {does}."


def _place(segment: Segment, limit: float) -> Place:
    return Place(node=segment.start, origin=segment.origin, measured=segment.gain, limit=limit)
