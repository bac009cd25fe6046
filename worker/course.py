"""The course of training runs, as plain numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.robust import centre_and_spread

SPIKE: Final = 5.0
"""Robust standard deviations of the logarithm beyond which a gradient's norm is a spike: the largest of 200 lognormal
norms lies beyond 3.9 once in twenty runs.
"""
_AROUND: Final = 16
"""Steps before and behind that a norm is compared with."""
_FEWEST: Final = 8
_LARGE: Final = 3.0
"""Times the median around it that a spike's norm is at least: where all norms are alike, small ones stand out."""


@dataclass(frozen=True)
class Run:
    """One training run on the batch."""

    optimizer: str
    learning_rate: float
    declared: bool
    """Whether the caller named both."""
    losses: tuple[float, ...]
    """At every step, before the update."""
    final: float
    """Mean over the last tenth of the steps asked for."""
    lowest: float
    """Lowest mean over a window as long, with three standard errors added where steps take part of the batch."""
    gradient_norms: tuple[float, ...]
    beaten: bool
    """Whether `lowest` is below .999 of the best constant prediction's loss, and nothing became non-finite."""
    diverged: bool
    """Whether something became non-finite, or nothing was learnt and the loss ended above where it began."""
    spike: float
    """The highest loss by the first, or by the best constant prediction's where that is higher."""
    shrinkage: float = 1.0
    """Norm of all weight matrices at the end by that at the start."""
    whole: bool = True
    """Whether every step took the whole batch."""
    by_heart: bool = False
    """Whether it was given a few samples only, and had to get below half of the best constant prediction's loss."""
    late: bool = False
    """Whether the time was up before its last step."""


@dataclass(frozen=True)
class RatePoint:
    """A short run of a learning-rate range test."""

    optimizer: str
    learning_rate: float
    final: float
    diverged: bool


@dataclass(frozen=True)
class Spike:
    """A step whose gradient is far larger than those around it."""

    step: int
    score: float
    """Robust standard deviations of ln of the norm above the median around it."""
    times: float
    """Its norm by that median."""


def spikes(norms: Sequence[float]) -> tuple[Spike, ...]:
    """Return the steps at which the gradient's norm stands out of its neighbourhood, the largest score first.

    z = (ln n − median) / (1.4826 · MAD) over the 16 steps on either side, so that a trend is none.
    """
    found = [each for step in range(len(norms)) if (each := _spike(norms, step)) is not None]
    return tuple(sorted(found, key=lambda spike: -spike.score))


def _spike(norms: Sequence[float], step: int) -> Spike | None:
    around = [*norms[max(step - _AROUND, 0) : step], *norms[step + 1 : step + 1 + _AROUND]]
    logs = [math.log(norm) for norm in around if norm > 0 and math.isfinite(norm)]
    behind = len(norms) - step - 1
    if len(logs) < _AROUND or min(step, behind) < _FEWEST or not norms[step] > 0:
        return None
    middle, spread = centre_and_spread(logs)
    above = math.log(norms[step]) - middle
    if spread == 0:  # norms that never change are those of a network that stands still
        return None
    score = above / spread
    return Spike(step, score, math.exp(above)) if score > SPIKE and above > math.log(_LARGE) else None
