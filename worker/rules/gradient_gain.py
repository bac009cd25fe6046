"""Judges the end-to-end gradient gain: where it vanishes, where it explodes, and why."""

import math
from dataclasses import dataclass

from service.contract.report import Place
from service.contract.words import Severity, Symptom
from worker import gain_in_words as words
from worker.probe.evidence import Evidence, Gain, Segment
from worker.rules import CLEAR, SHOWN_PLACES, Answer, Observation, Silence, learnt, place_at, rule, ungained, weigh


@rule(
    "GRD01",
    Symptom.VANISHING_GRADIENT,
    order=40,
    aliases=["VanishingGradient", "GradientVanish"],
    told_by=[Symptom.OVER_REGULARIZATION],
)
def vanishing_gradient(
    evidence: Evidence,
    *,
    note: float = 3.0,
    risk: float = 6.0,
    severe: float = 12.0,
    sigmas: float = 2.0,
    bypassed: float = 12.0,
) -> Answer:
    """The gradient fades on its way back to the first layers.

    What it measures
        G, the natural logarithm of how much the squared norm of a random cotangent changes from the last hidden cut
        of the graph back to the first, and the same from the typical layer.  Below -6 by both is at risk, below -12
        severe; -3 to -6 is a note, and so is what lies within two standard deviations of -6, or above -12 where the
        training trial learns in every way that it tries.  A layer that skips lead past, and that
        gets e⁻¹² of an even share of the gradient, is a note as well.

    Why it matters
        A network is trainable while its depth is within about six of its depth scales, that is |G| < 6.  Beyond,
        the first layers receive nothing that one learning rate could use, and their output no longer tells samples
        apart.

    When it is wrong
        Adaptive optimizers train some networks down to G = -16; the training trial decides whether this rejects.
        A trained model may have small gains on purpose.

    References
        Schoenholz et al. 2017 (arXiv 1611.01232); Hanin and Nica 2018 (arXiv 1812.05994); Glorot and Bengio 2010.
    """
    answer = _judge(evidence, -1, _Limits(note, (risk, severe), (risk, severe), sigmas))
    return (_bypassed(evidence, bypassed) or answer) if answer == CLEAR else answer


@rule(
    "GRD02",
    Symptom.EXPLODING_GRADIENT,
    order=40,
    aliases=["ExplodingTensor", "GradientExplode"],
    told_by=[Symptom.OVER_REGULARIZATION],
)
def exploding_gradient(
    evidence: Evidence,
    *,
    note: float = 3.0,
    risk: float = 6.0,
    severe: float = 12.0,
    normalized: float = 12.0,
    severe_normalized: float = 16.0,
    sigmas: float = 2.0,
) -> Answer:
    """The gradient grows on its way back to the first layers.

    What it measures
        G, as for GRD01; above +6 by total and by trend is at risk, +3 to +6 is a note, and so is what lies within two
        standard deviations of +6, or below +12 where the training trial learns in every way that it tries.  Where
        a norm stands for every third layer or more, the two limits are +12 and +16.

    Why it matters
        Where the gradient of an early layer is e³ times that of a late one, a step that is safe for the first is
        nothing for the last; small changes of the input become large changes of the output.

    When it is wrong
        Residual networks with normalization grow as a power of depth, which is harmless and left alone.  Normalized
        layers do not mind large weights: plain networks with batch normalization train to some sixteen depth
        scales.  The training trial decides whether this rejects.

    References
        Yang et al. 2019 (arXiv 1902.08129: batch normalization without skips explodes); Pascanu et al. 2013.
    """
    return _judge(evidence, 1, _Limits(note, (risk, severe), (normalized, severe_normalized), sigmas))


@dataclass(frozen=True)
class _Limits:
    """Magnitudes of G at which a gain is worth a note, and at which it is at risk."""

    note: float
    plain: tuple[float, float]
    """At risk, and severe."""
    normalized: tuple[float, float]
    """The same where a norm stands for every third layer or more."""
    sigmas: float
    """Standard deviations within which a limit counts as not passed."""

    def of(self, gain: Gain) -> tuple[float, float]:
        """Return where this gain is at risk, and where severe."""
        return self.normalized if gain.normalized else self.plain


def _judge(evidence: Evidence, sign: int, limits: _Limits) -> Answer:
    """Judge the end-to-end gain in one direction: `sign` is -1 for vanishing, +1 for exploding."""
    gain = evidence.gain
    if gain is None:
        return ungained(evidence)
    if not math.isfinite(gain.total):
        return Silence("could_not_judge", "no finite gradient comes back from the last hidden layer to the first")
    if len(gain.segments) == 1 and not evidence.failed:
        return Silence("clear", "from one hidden layer to the next there is no trend")
    size, (limit, _) = sign * gain.rate, limits.of(gain)
    if size < (limits.plain[0] if _harmless(gain) else limits.note):
        return CLEAR
    doubt = abs(size - limit) < limits.sigmas * gain.sigma and size >= limits.plain[0]
    beyond = f"beyond {sign * limit:+g} is at risk"
    return Observation(
        f"On its way back over {words.layers(gain)} the gradient {'shrinks' if sign < 0 else 'grows'} by a factor of "
        f"{words.factor(gain.total)} (ln of squared gain {gain.total:+.1f}; {beyond}){words.why(evidence, gain)}. "
        f"{words.where(evidence, gain, sign)}{words.doubt(gain) if doubt else ''}{words.trained(evidence)}",
        _severity(evidence, gain, size, limits, doubt=doubt),
        _places(gain, sign, sign * limit / len(gain.segments)),
        {
            "gain": gain.total,
            "typical_gain": gain.typical,
            "late_gain": gain.late,
            "forward_gain": gain.forward,
            "relative_gain": gain.relative,
            "collapse": gain.collapse,
            "farthest_gain": gain.dip,
            "standard_error": gain.standard_error,
        }
        | ({} if gain.nonlinearity is None else {"nonlinearity": gain.nonlinearity}),
        round(gain.beyond(limit if size >= limit else limits.note), 3),
    )


def _severity(evidence: Evidence, gain: Gain, size: float, limits: _Limits, *, doubt: bool) -> Severity:
    """Return how much a gain weighs.

    At risk it warns, unless training learns in every way; in doubt only a failed trial bears it out; severe is severe.
    """
    risk, severe = limits.of(gain)
    if evidence.failed and size >= limits.plain[0]:
        return weigh(evidence)
    sure = size >= risk and not doubt and not _harmless(gain)
    return weigh(evidence) if sure and (size >= severe or not learnt(evidence)) else Severity.INFO


def _harmless(gain: Gain) -> bool:
    """Whether the gradient grows as the second or third power of depth, as behind norms in residual networks."""
    return gain.rate > 0 and gain.power is not None and gain.power < 3  # noqa: PLR2004  batch norm's law is 2 to 2.5


def _bypassed(evidence: Evidence, limit: float) -> Observation | None:
    """Tell of a layer that the gradient is led past by skips."""
    bypass = evidence.gain.bypass if evidence.gain else None
    if bypass is None or bypass.share > -limit:
        return None
    return Observation(
        f"Skips carry nearly all of the gradient: {evidence.called(bypass.node)} gets {words.factor(bypass.share)} "
        f"times less than an even share (ln of its squared share {bypass.share:+.1f}; {-limit:+g} is the limit): what "
        "they lead past hardly learns.",
        Severity.INFO,
        (place_at(evidence, bypass.node, bypass.share, -limit),),
        {"share": bypass.share},
    )


def _places(gain: Gain, sign: int, fair: float) -> tuple[Place, ...]:
    """Return the segments beyond their share of the limit, the worst first."""
    worst = sorted(gain.segments, key=lambda segment: -sign * segment.gain)
    beyond = [segment for segment in worst if sign * segment.gain >= sign * fair]
    return tuple(_place(segment, fair) for segment in (beyond or worst[:1])[:SHOWN_PLACES])


def _place(segment: Segment, limit: float) -> Place:
    return Place(node=segment.start, origin=segment.origin, measured=segment.gain, limit=limit)
