"""What was measured at one operator worth looking at, on the way forward and back."""

from dataclasses import dataclass
from typing import Final

WHOLE: Final = 10
"""Units from which a layer that is off altogether is no chance: half of them would be on, 2⁻¹⁰ is one in a thousand."""


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
    stuck: float | None = None
    """Share of units that are saturated for nearly all samples (95%); None where φ does not saturate."""
    slope: float | None = None
    """E[φ'²] by the largest φ'², where φ saturates."""


@dataclass(frozen=True)
class Gradient:
    """The loss's gradient at a tensor."""

    rms: float
    relative: float
    """Its norm as a share of the largest among all places."""
    nonfinite: float


@dataclass(frozen=True)
class Units:
    """The units of an activation with a flat part, over the batch."""

    count: int
    dead: float
    """Share of units whose pre-activation leaves the flat part for no sample."""
    expected: float
    """The share that correlated Gaussian pre-activations would show by chance."""
    excess: float
    """`dead` above `expected`, less three standard errors."""
    samples: int
    hopeless: float = 0.0
    """Share of units that are dead, that no gradient reaches, and whose mean lies four of their own standard deviations
    or more within the flat part.
    """
    hopeless_excess: float = 0.0
    """`hopeless` above its share by chance, less three standard errors."""
    dormant: float = 0.0
    """Share of units whose mean output is at most 0.025 of the layer's (Sokar et al. 2023)."""
    blank: bool = False
    """Whether all pre-activations are exactly zero, as behind weights that are."""

    @property
    def off(self) -> bool:
        """Whether the layer is off altogether, and not by chance."""
        return self.dead == 1 and self.count >= WHOLE


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
    gate: bool = False
    """Whether it multiplies another signal, or gives the output: it may rest on a flat end by right."""
