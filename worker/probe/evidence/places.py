"""What was measured at one operator worth looking at, on the way forward and back."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Activation:
    """A tensor on the way forward, over the whole batch."""

    mean: float
    std: float
    rms: float
    zero: float
    """Share of exact zeros."""
    nonfinite: float
    """Share of NaN and infinities."""
    saturated: float | None = None
    """Share of pre-activations where |φ'| is under a tenth of its maximum; None where φ does not saturate."""


@dataclass(frozen=True)
class Gradient:
    """The loss's gradient at a tensor."""

    rms: float
    relative: float
    """Its norm as a share of the largest among all places."""
    nonfinite: float


@dataclass(frozen=True)
class Units:
    """The units of a rectifying activation over the batch."""

    count: int
    dead: float
    """Share of units whose pre-activation is positive for no sample."""
    expected: float
    """The share that correlated Gaussian pre-activations would show by chance."""
    excess: float
    """`dead` above `expected`, less three standard errors."""
    samples: int


@dataclass(frozen=True)
class PlaceEvidence:
    """One operator worth looking at: it holds a weight, is a nonlinearity or a norm, or joins branches."""

    node: str
    op: str
    depth: int
    """Weight layers between the input and here, on the longest path."""
    shape: tuple[int, ...]
    activation: Activation
    gradient: Gradient | None = None
    parameter: str | None = None
    origin: str | None = None
    units: Units | None = None
