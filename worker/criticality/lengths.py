"""Means over normal pre-activations: of an activation's square, of its slope's square, and of how it stretches lengths.

Gauss-Legendre between the places where an activation bends: Gauss-Hermite still errs in the third digit there.
"""

from math import pi, sqrt
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.network.ops import NEWEST, find

_ABSCISSAS, _WEIGHTS = np.polynomial.legendre.leggauss(128)
_FARTHEST: Final = 10.0
_CLIP_BY_ATTRIBUTES: Final = 6
"""The opset whose Clip takes its bounds as numbers."""

Array = NDArray[np.float64]


class Shape(NamedTuple):
    """An activation with its numbers, as one that can be looked up."""

    op: str
    domain: str = ""
    numbers: tuple[tuple[str, float | str], ...] = ()

    @property
    def bends(self) -> tuple[float, ...]:
        """Where the slope jumps."""
        given = dict(self.numbers)
        match self.op:
            case "HardSwish":
                return -3.0, 0.0, 3.0
            case "HardSigmoid":
                slope, middle = float(given.get("alpha", 0.2)), float(given.get("beta", 0.5))
                return (-middle / slope, (1 - middle) / slope) if slope else ()
            case "Clip":
                return 0.0, *(float(given[name]) for name in ("min", "max") if name in given)
            case "ThresholdedRelu":
                return 0.0, float(given.get("alpha", 1.0))
        return (0.0,)

    def at(self, x: Array) -> tuple[Array, Array]:
        """Return φ and φ' at these numbers.  KeyError where the operator is not known."""
        newest = _CLIP_BY_ATTRIBUTES if self.op == "Clip" else NEWEST
        operator = find(self.domain, self.op, newest)
        if operator is None:
            raise KeyError(self.op)
        place = torch.from_numpy(x).requires_grad_()
        with torch.enable_grad():
            value: Tensor = operator.function(place, **dict(self.numbers))  # type: ignore[assignment]
            (slope,) = torch.autograd.grad(value.sum(), place)
        return value.detach().numpy(), slope.numpy()


class Means(NamedTuple):
    """What becomes of a normal pre-activation of mean square q."""

    value: float
    """E[φ]."""
    square: float
    """E[φ²]."""
    slope: float
    """E[φ'²]: of weights of variance σ_w² / fan-in, χ₁ = σ_w² E[φ'²]."""
    stretch: float
    """dE[φ²]/dq = E[z φ φ'] / √q: χ_∥ = σ_w² of that is what a length that is a little off grows by."""


def means(shape: Shape, length: float) -> Means:
    """Return the means over a normal pre-activation of this mean square (above 0)."""
    root = sqrt(length)
    z, density = _axis(tuple(bend / root for bend in shape.bends))
    value, slope = shape.at(root * z)
    return Means(
        float(density @ value),
        float(density @ value**2),
        float(density @ slope**2),
        float(density @ (z * value * slope)) / root,
    )


def odd(shape: Shape) -> bool:
    """Whether φ(-x) = -φ(x)."""
    x = np.linspace(0.1, _FARTHEST, 64)
    return bool(np.allclose(shape.at(x)[0], -shape.at(-x)[0], rtol=1e-9, atol=1e-12))


def _axis(bends: tuple[float, ...]) -> tuple[Array, Array]:
    """Return places on a standard normal's axis, and what each weighs."""
    inner = {min(max(bend, -_FARTHEST), _FARTHEST) for bend in bends}
    ends = np.array(sorted({-_FARTHEST, _FARTHEST, *inner}))
    halves = np.diff(ends)[:, None] / 2
    places = (ends[:-1, None] + halves * (1 + _ABSCISSAS)).ravel()
    density = np.exp(-(places**2) / 2) / sqrt(2 * pi)
    return places, (halves * _WEIGHTS).ravel() * density
