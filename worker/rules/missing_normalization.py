"""Finds deep networks without a norm whose scale drifts on the way."""

from math import isfinite

from service.contract.words import Symptom
from worker.probe.evidence import Evidence, Gain
from worker.rules import CLEAR, Answer, Observation, Silence, note, place_at, rule, ungained


@rule(
    "NRM02",
    Symptom.MISSING_NORMALIZATION,
    order=48,
    aliases=["missing normalization layer"],
    told_by=[
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.RESIDUAL_SCALE,
        Symptom.RANK_COLLAPSE,
        Symptom.INPUT_SCALE,
        Symptom.NON_FINITE,
    ],
)
def missing_normalization(evidence: Evidence, *, layers: float = 8, drift: float = 6.0) -> Answer:
    """A deep network has no normalization, and its scale drifts.

    What it measures
        Whether a norm stands between the first and the last of 8 hidden layers or more; and how far the signal's
        second moment, or the gradient's, is from where it began at the layer where it is farthest, as ln: beyond 6 it
        counts, the six depth scales within which a network trains.  Where the gradient changes as much from end to
        end, it vanishes or explodes, which is told by that.

    Why it matters
        Without a norm, whatever a layer does to the scale the next ones inherit, and training moves it further: such
        networks stand on their initialization alone.

    When it is wrong
        Networks that are built to need none (Fixup, NF-Nets, SELU, orthogonal weights) keep their scale and are left
        alone.  A trained network may have settled at any scale.  It is a note unless the training trial fails.

    References
        Ioffe and Szegedy 2015 (arXiv 1502.03167); Schoenholz et al. 2017 (arXiv 1611.01232);
        Brock et al. 2021 (arXiv 2102.06171).
    """
    gain = evidence.gain
    if gain is None:
        return ungained(evidence)
    if not isfinite(gain.total):
        return Silence("could_not_judge", "no finite gradient comes back from the last hidden layer to the first")
    count = sum(segment.layers for segment in gain.segments) + 1
    size = max(gain.dip, gain.forward_dip, key=abs)
    steady = abs(size) <= drift or abs(gain.rate) > drift
    if _normed(gain) or count < layers or steady:
        return CLEAR
    what = "gradient" if size == gain.dip else "signal"
    end = gain.segments[-1].end
    return Observation(
        f"None of {count} hidden layers is normalized, and the {what} drifts: ln of its squared scale changes by "
        f"{size:+.1f} ({drift:g} is the limit).",
        note(evidence),
        (place_at(evidence, end, size, drift),),
        {"layers": count, "drift": size, "forward_gain": gain.forward, "gain": gain.total},
    )


def _normed(gain: Gain) -> bool:
    return gain.normalized or any(segment.normed for segment in gain.segments)
