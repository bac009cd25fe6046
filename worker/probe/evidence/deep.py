"""What takes many passes to measure: curvature, noise between samples, the Jacobian's spectrum."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sharpness:
    """The largest curvature of the loss over the trainable weights, and the learning rate that it bears."""

    value: float
    """λ: the largest eigenvalue of the Hessian."""
    preconditioned: float
    """The largest eigenvalue of P⁻¹H, where the optimizer divides steps by P; λ where it does not."""
    critical_rate: float
    """The learning rate from which on this optimizer diverges on a quadratic of this curvature."""
    optimizer: str
    learning_rate: float
    declared: bool
    """Whether the caller named the learning rate."""
    products: int
    """Products of the Hessian with a vector that were taken."""
    differences: bool
    """Whether they are differences of gradients, since some operator has no second derivative."""

    @property
    def ratio(self) -> float:
        """The learning rate by the critical one."""
        return self.learning_rate / self.critical_rate


@dataclass(frozen=True)
class Noise:
    """How much of a batch's gradient is chance."""

    scale: float
    """B_simple, in samples: the batch at which chance and signal weigh the same; infinite where no signal is seen."""
    lowest: float
    """A lower bound of it: two standard errors less noise over two more signal."""
    standard_error: float
    """Of B_simple, by leaving out one part at a time; infinite where it is."""
    samples: int
    """The whole batch."""
    parts: int
    tail: float
    """Largest ln of a part's gradient norm less the median, by 1.4826 times the median absolute deviation."""
    largest_by_median: float
    """The largest of the parts' norms by their median."""
    hill: float
    """Hill's index of the largest tenth of norms, at least 3 of them; too noisy to judge by."""


@dataclass(frozen=True)
class Isometry:
    """How evenly the Jacobian between the first and the last hidden cut stretches directions."""

    mean_square: float
    """Mean of the squared singular values."""
    largest_square: float
    """The largest, over all samples."""
    standard_error: float
    """Of the mean square, over random cotangents."""

    @property
    def index(self) -> float:
        """The largest by the mean: 1 for an orthogonal map, (L+1)^(L+1)/L^L for L Gaussian ones in a row."""
        return self.largest_square / self.mean_square


@dataclass(frozen=True)
class Rank:
    """How many directions the samples take at one place."""

    node: str
    participation: float
    """(Σλ)² / Σλ² over the eigenvalues of the covariance between samples."""
    most: int
    """What it can be at most: features, or samples less one."""
    origin: str | None = None


@dataclass(frozen=True)
class Halves:
    """The end-to-end gain, measured on each half of the batch alone."""

    first: float
    second: float
    standard_error: float
    """Of their difference, over cotangents."""


@dataclass(frozen=True)
class WidthTrend:
    """How far a layer's output moves in the first steps, as its width grows."""

    node: str
    slope: float
    """Of ln rms(Δx) against ln width: 0 where the width does not matter."""
    origin: str | None = None


@dataclass(frozen=True)
class Deep:
    """What a deep examination adds; None where it was not measured, for the reason in `Evidence.unmeasured`."""

    noise: Noise | None = None
    coherence: float | None = None
    """Mean cosine between the gradients of two samples."""
    isometry: Isometry | None = None
    ranks: tuple[Rank, ...] = ()
    halves: Halves | None = None
    widths: tuple[WidthTrend, ...] = ()
