"""What the figures of a gain say together: why it vanishes or explodes.

G says that it does, F whether the signal does the same, C whether samples become alike meanwhile, the slopes how much
of it is the activations' doing: the cause table of the design, after Schoenholz et al. 2017 and Yang et al. 2019.
"""

from collections.abc import Sequence
from enum import Enum, auto
from math import exp
from typing import Final

from worker.probe.evidence.gain import Gain, Join

_RECTIFIER: Final = 0.35
"""E[φ'²] below which an activation loses more than a rectifier, which keeps a half."""


class Cause(Enum):
    """Why a gain is not zero."""

    SCALE = auto()
    """Weights of the wrong scale: the signal shrinks or grows with the gradient."""
    SLOPES = auto()
    """Activations whose slopes are small, by nature or by saturation."""
    FLOOR = auto()
    """What is the same for all samples takes the signal's place."""
    RESIDUAL = auto()
    """Branches that are added to their skips unscaled."""
    BATCH_NORM = auto()
    """Batch normalization without skips."""
    CHAOS = auto()
    """Differences grow while the signal keeps its size."""


def cause(gain: Gain, joins: Sequence[Join]) -> Cause | None:
    """Return why the gradient vanishes or explodes; None where the figures do not say."""
    return _shrinking(gain) if gain.rate < 0 else _growing(gain, joins) if gain.rate > 0 else None


def kept(gain: Gain) -> float | None:
    """Return E[φ'²] of the typical layer; None where branches lie between the cuts or no activation does."""
    told = [segment.slopes for segment in gain.segments if segment.slopes is not None and segment.activation]
    return exp(sum(told) / len(told)) if 2 * len(told) > len(gain.segments) else None


def _shrinking(gain: Gain) -> Cause | None:
    slope = kept(gain)
    if gain.forward <= gain.total / 2:
        return Cause.SCALE
    if slope is not None and slope < _RECTIFIER:
        return Cause.SLOPES
    return Cause.FLOOR if gain.collapse <= gain.total / 2 else None


def _growing(gain: Gain, joins: Sequence[Join]) -> Cause | None:
    if sum(join.growth for join in joins if not join.normalized) >= gain.total / 2:
        return Cause.RESIDUAL
    if gain.forward >= gain.total / 2:
        return Cause.SCALE
    normed = sum("BatchNormalization" in segment.operators for segment in gain.segments)
    return Cause.BATCH_NORM if 2 * normed > len(gain.segments) else Cause.CHAOS
