"""What to say of a gain: why it is what it is, between which layers it arises, and how large a factor it means."""

import math
from collections import Counter
from typing import Final

from worker.answers import several
from worker.probe.evidence import Evidence, Gain
from worker.probe.evidence.reading import Cause, cause, kept

_NATS_PER_DECADE: Final = 2 * math.log(10)


def why(evidence: Evidence, gain: Gain) -> str:
    """Return the cause, as the end of a sentence."""
    found = cause(gain, evidence.joins)
    shrinks = gain.rate < 0
    slope = kept(gain)
    act = _activation(gain)
    return {
        None: "",
        Cause.SCALE: (
            f", because the weights are too {'small' if shrinks else 'large'}{f' for {act}' if act else ''}: "
            f"the signal itself {'shrinks' if shrinks else 'grows'} by {factor(gain.forward)} on its way forward"
        ),
        Cause.SLOPES: f", because the slopes of {act} keep {share(math.sqrt(slope or 0.0))} of it per layer",
        Cause.FLOOR: (
            ", because what is the same for all samples, such as biases, takes the signal's place: "
            f"the share of variance between samples falls by e^{-gain.collapse:.1f}"
        ),
        Cause.RESIDUAL: (
            f", because {branches(sum(not join.normalized for join in evidence.joins))} unscaled and without a norm"
        ),
        Cause.BATCH_NORM: ", because batch normalization without skips multiplies it at every layer",
        Cause.CHAOS: (
            ", because small differences grow from layer to layer while the signal keeps its size"
            + (f": the weights are too large for {act}" if act and not gain.normalized else "")
        ),
    }[found]


def _activation(gain: Gain) -> str:
    """Return the activation of most segments; "" where there is none."""
    met = Counter(segment.activation for segment in gain.segments).most_common(1)
    return met[0][0] if met else ""


def trained(evidence: Evidence) -> str:
    """Say under which optimizer the network trains all the same, where it does not under the other."""
    runs = evidence.training.runs if evidence.training else ()
    well = [run.optimizer for run in runs if run.beaten]
    ill = [run.optimizer for run in runs if not run.beaten and run.optimizer not in well]
    if well and ill:
        return f" It learns the batch under {well[0]}, but not under {ill[0]}."
    return f" All the same it learns the batch under {' and '.join(dict.fromkeys(well))}." if well else ""


def branches(count: int) -> str:
    """Say how many residual branches are added to a skip."""
    if count == 1:
        return "one residual branch is added to its skip"
    return f"{count} residual branches are added to their skips"


def layers(gain: Gain) -> str:
    """Say how many weight layers the gain is over."""
    return several(sum(segment.layers for segment in gain.segments), "layer")


def factor(gain: float) -> str:
    """Say how many times a norm changes, given ln of its square."""
    decades = abs(gain) / _NATS_PER_DECADE
    return f"{10**decades:.1f}" if decades < 2 else f"10^{decades:.1f}"  # noqa: PLR2004  100 and more read as powers


def share(part: float) -> str:
    """Say a part of a whole, however small."""
    return f"{part:.0%}" if part >= 0.01 else f"1/{1 / max(part, 1e-300):.3g}"  # noqa: PLR2004  a hundredth


def doubt(gain: Gain) -> str:
    """Say that chance alone may put a gain on this side of its limit."""
    return (
        f" That is within two standard deviations of the limit (±{2 * gain.sigma:.1f} for this width and depth), so "
        "another draw of the weights may fall on its other side."
    )


def where(evidence: Evidence, gain: Gain, sign: int) -> str:
    """Say between which layers most of it happens, or what the typical layer does."""
    worst = max(gain.segments, key=lambda segment: sign * segment.gain)
    count = len(gain.segments)
    if count == 1 or worst.gain / gain.total > max(0.5, 1.5 / count):  # one of several is to blame for most of it
        start, end = evidence.called(worst.start), evidence.called(worst.end)
        stretch = f"within {start}" if start == end else f"between {start} and {end}"
        return f"{'It' if count == 1 else 'Most of it'} happens {stretch} ({', '.join(worst.operators)})."
    each = math.exp(gain.typical / count / 2)
    does = f"keeps {share(each)} of it" if sign < 0 else f"multiplies it by {each:.2f}"
    return f"It happens everywhere: the typical layer {does}."
