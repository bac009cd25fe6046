"""What a deep examination measured, beside what every examination does."""

from pydantic import Field

from service.contract.base import Contract, Number


class Rank(Contract):
    """How many directions the samples take at a weight layer's output."""

    node: str
    origin: str | None = None
    participation: Number
    """(Σλ)² / Σλ² over the eigenvalues of the covariance between samples."""
    most: int
    """What it can be at most: the layer's features, or the samples less one."""


class WidthTrend(Contract):
    """How the first steps move a hidden layer's output, as the network grows wider."""

    node: str
    origin: str | None = None
    slope: Number
    """Of ln of the movement's root mean square against ln of the width; 0 where one learning rate fits all widths."""


class DeepSection(Contract):
    """Measures of many passes, under the first seed; absent where `unmeasured` has the reason."""

    noise_scale: Number | None = None
    """Samples at which the chance and the signal of a gradient weigh the same (McCandlish et al. 2018)."""
    noise_scale_error: Number | None = None
    """Its standard error."""
    coherence: Number | None = None
    """Mean cosine between the gradients of two samples."""
    conditioning: Number | None = None
    """The largest squared singular value of the Jacobian between the first and the last hidden layer by their mean: 1
    where all directions are stretched alike.
    """
    mean_squared_singular_value: Number | None = None
    half_gains: tuple[Number, Number] | None = None
    """The end-to-end gradient gain (ln of its square) on each half of the batch."""
    half_gains_error: Number | None = None
    """Standard error of the two halves' difference."""
    ranks: tuple[Rank, ...] = ()
    widths: tuple[WidthTrend, ...] = ()
    unmeasured: dict[str, str] = Field(default_factory=dict)
    """Per measure that was not taken, why."""
