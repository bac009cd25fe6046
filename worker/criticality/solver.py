"""The scale of weights and biases at which gradients keep their size behind an activation, solved for it.

Where weights have variance σ_w² / fan-in and biases σ_b², lengths q ← σ_w² E[φ(√q z)²] + σ_b² settle at a fixed point,
and there each layer multiplies a squared gradient by χ₁ = σ_w² E[φ'(√q z)²] (Poole et al. 2016;
Schoenholz et al. 2017).  For every length there is one pair with χ₁ = 1.  Of these the first is taken, from unit length
on, near which other lengths do not run away (χ_∥ ≤ 1): 2 and 0 for ReLU, and for GELU and SiLU the pairs of Roberts,
Yaida and Hanin 2022.

Odd functions such as tanh are critical as the length goes to 0, with no biases: the largest length is taken at which
χ₁ is still 1 within some ten-thousandths.  One that keeps unit length and mean 0 by itself (SELU) keeps variance 1.
"""

from collections.abc import Callable
from functools import cache
from math import isfinite
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import brentq

from worker.criticality.lengths import Shape, means, odd


class Critical(NamedTuple):
    """Variance of weights times fan-in, and variance of biases."""

    weights: float
    biases: float = 0.0
    attained: bool = True
    """Whether χ₁ is 1 there, or near; no usable scale makes a sigmoid critical."""


LINEAR: Final = Critical(1.0)
_SPARE: Final = 7.5e-4
"""How far above 1 the χ₁ of odd functions may be: a hundred layers make 8% of a squared gradient of it."""
_LENGTHS: Final = tuple(float(length) for length in np.geomspace(1, 1e4, 41))
_FAR: Final = 1e8
_MOST: Final = 16.0
"""The variance above which none is usable: a sigmoid asks for 103."""


@cache
def solve(shape: Shape) -> Critical:
    """Return the critical variances; where there are none, those of the function that it is far from 0.

    KeyError where the operator is not known, ValueError where its numbers give none.
    """
    with np.errstate(all="ignore"):
        return _solved(shape)


def _solved(shape: Shape) -> Critical:
    unit = means(shape, 1.0)
    if not (all(map(isfinite, unit)) and unit.slope > 0):
        raise ValueError(shape)
    if abs(unit.square - 1) < 1e-3 and abs(unit.value) < 1e-3:  # noqa: PLR2004  SELU's own fixed point
        return LINEAR
    found = _near_zero(shape) if odd(shape) else _settled(shape)
    return found or _far_away(shape)


def _near_zero(shape: Shape) -> Critical | None:
    """Return the variance of weights that keeps the largest length at which χ₁ exceeds 1 by no more than is spare."""
    lengths = np.geomspace(1e-6, 1, 61)
    fitting = [length for length in lengths if _kept(shape, length)[1] <= 1 + _SPARE]
    if not fitting:
        return None
    index = len(fitting) - 1
    if index + 1 == len(lengths):
        return Critical(_told(_kept(shape, 1.0)[0]))
    length = _root(lambda q: _kept(shape, q)[1] - 1 - _SPARE, lengths[index], lengths[index + 1])
    return Critical(_told(_kept(shape, length)[0]))


def _kept(shape: Shape, length: float) -> tuple[float, float]:
    """Return the variance of weights that keeps a length without biases, and its χ₁."""
    at = means(shape, length)
    return length / max(at.square, 1e-300), length / max(at.square, 1e-300) * at.slope


def _settled(shape: Shape) -> Critical | None:
    """Return the pair at the first length from 1 on that does not run away."""
    previous = _LENGTHS[0]
    for length in _LENGTHS:
        if _runaway(shape, length) <= 0:
            at = length if length == previous else _root(lambda q: _runaway(shape, q), previous, length)
            return _pair(shape, at)
        previous = length
    return None


def _runaway(shape: Shape, length: float) -> float:
    """Return χ_∥ - 1 where χ₁ is 1, to rounding."""
    at = means(shape, length)
    return at.stretch / at.slope - 1 - 1e-9 if at.slope > 0 else 1.0


def _pair(shape: Shape, length: float) -> Critical | None:
    """Return the pair with χ₁ = 1 at a length; None where it asks for a negative variance, or one beyond use."""
    at = means(shape, length)
    weights = 1 / at.slope
    biases = length - weights * at.square
    if biases < -1e-6 * length or weights > _MOST:
        return None
    return Critical(_told(weights), _told(biases) if biases > 1e-6 * length else 0.0)


def _far_away(shape: Shape) -> Critical:
    """Return the variance for the rectifier that a softplus is from afar; that of no activation for a sigmoid."""
    slope = means(shape, _FAR).slope
    weights = round(1 / slope, 3) if slope > 1 / _MOST else 1.0
    return Critical(weights, attained=False)


def _told(variance: float) -> float:
    """Return a number without the noise of its last places."""
    return float(f"{variance:.9g}")


def _root(of: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(of, low, high, xtol=1e-10))
