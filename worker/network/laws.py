"""The laws that draw weights, each a frozen value that `Graph.redrawn` calls with a seeded stream.

A law is equal to another of the same numbers, and its `str` says what it is.  All draw float32 on the CPU, the same
on every platform; in an orthogonal matrix one number of some millions may differ by 2⁻²⁸, as LAPACKs do.
"""

from dataclasses import dataclass
from math import prod, sqrt
from typing import ClassVar, Final

import numpy as np
import torch
from torch import Tensor

from service.contract.architecture.laws import unfit
from service.contract.problem import Invalid
from worker.network.compound import Permuted, Reordered, Reshaped, Said, Shifted, Stacked, Times
from worker.network.fans import Fans, Shape, fans, keras_fans
from worker.network.graph import Law
from worker.network.streams import Stream

__all__ = [
    "Constant",
    "DeltaOrthogonal",
    "Fans",
    "Identity",
    "Normal",
    "Orthogonal",
    "Permuted",
    "Reordered",
    "Reshaped",
    "Shape",
    "Shifted",
    "Sparse",
    "Stacked",
    "Times",
    "Uniform",
    "fans",
    "keras_fans",
    "scaled",
    "torch_default",
]

TRUNCATED: Final = 0.87962566103423978
"""Standard deviation of a standard normal cut at ±2."""
_PLACES: Final = 2**28


@dataclass(frozen=True)
class Normal(Said):
    """Normal, and cut at two standard deviations where `truncated` (`std` is before the cut)."""

    words: ClassVar[str] = "normal of mean {mean:.4g} and standard deviation {std:.4g}"

    shape: Shape
    std: float
    mean: float = 0.0
    truncated: bool = False

    def __call__(self, stream: Stream) -> Tensor:
        """Draw."""
        return torch.from_numpy(stream.normal(self.shape, self.mean, self.std, cut=self.truncated))

    def __str__(self) -> str:
        """Return the words, with the cut if there is one."""
        return super().__str__() + (", cut at two of them" if self.truncated else "")


@dataclass(frozen=True)
class Uniform(Said):
    """Uniform between `low` and `high`."""

    words: ClassVar[str] = "uniform from {low:.4g} to {high:.4g}"

    shape: Shape
    low: float
    high: float

    def __call__(self, stream: Stream) -> Tensor:
        """Draw."""
        return torch.from_numpy(stream.uniform(self.shape, self.low, self.high))


@dataclass(frozen=True)
class Constant(Said):
    """The same everywhere."""

    words: ClassVar[str] = "constant {value:.4g}"

    shape: Shape
    value: float

    def __call__(self, stream: Stream) -> Tensor:  # noqa: ARG002  nothing is drawn
        """Fill."""
        return torch.full(self.shape, self.value, dtype=torch.float32)


@dataclass(frozen=True)
class Orthogonal(Said):
    """`gain` times a matrix whose rows or columns (whichever are fewer) are orthonormal.

    A kernel with more than two axes is a matrix of its first axis by all others (Saxe, McClelland and Ganguli 2014).
    """

    words: ClassVar[str] = "orthogonal, gain {gain:.4g}"

    shape: Shape
    gain: float = 1.0

    def __call__(self, stream: Stream) -> Tensor:
        """Draw; Invalid where there is only one axis."""
        _fit("orthogonal", self.shape)
        return (self.gain * _haar(stream, self.shape[0], prod(self.shape[1:]))).float().reshape(self.shape)


@dataclass(frozen=True)
class DeltaOrthogonal(Said):
    """`gain` times orthonormal columns in the middle of a convolution's window, zero around it.

    The kernel is (out, in, window…) with no fewer outputs than inputs (Xiao et al. 2018): a signal keeps its length.
    """

    words: ClassVar[str] = "orthogonal in the middle of the window, gain {gain:.4g}"

    shape: Shape
    gain: float = 1.0

    def __call__(self, stream: Stream) -> Tensor:
        """Draw; Invalid for another kernel than a convolution's, or one with fewer outputs than inputs."""
        _fit("delta_orthogonal", self.shape)
        kernel = torch.zeros(self.shape)
        _middle(kernel).copy_((self.gain * _haar(stream, *self.shape[:2])).float())
        return kernel


@dataclass(frozen=True)
class Identity(Said):
    """`gain` on the diagonal; for convolutions, in the middle of the window (a Dirac kernel)."""

    words: ClassVar[str] = "identity, gain {gain:.4g}"

    shape: Shape
    gain: float = 1.0

    def __call__(self, stream: Stream) -> Tensor:  # noqa: ARG002  nothing is drawn
        """Fill; Invalid where there is only one axis."""
        _fit("identity", self.shape)
        kernel = torch.zeros(self.shape)
        _middle(kernel).copy_(self.gain * torch.eye(*self.shape[:2]))
        return kernel


@dataclass(frozen=True)
class Sparse(Said):
    """Normal, with a share of zeros in each column of a matrix (Martens 2010): a unit hears few others."""

    words: ClassVar[str] = "normal of standard deviation {std:.4g}, {sparsity:.3g} of each column zero"

    shape: Shape
    sparsity: float
    std: float = 0.01

    def __call__(self, stream: Stream) -> Tensor:
        """Draw; Invalid where the weight is no matrix."""
        _fit("sparse", self.shape)
        drawn = stream.normal(self.shape, 0.0, self.std)
        drawn[stream.ranks(*self.shape) < np.ceil(self.sparsity * self.shape[0])] = 0
        return torch.from_numpy(drawn)


def scaled(shape: Shape, variance: float, distribution: str = "normal") -> Law:
    """Return the normal, truncated_normal or uniform law of mean 0 and this variance, after the cut if there is one."""
    if distribution == "uniform":
        return Uniform(shape, -sqrt(3 * variance), sqrt(3 * variance))
    truncated = distribution == "truncated_normal"
    return Normal(shape, sqrt(variance) / (TRUNCATED if truncated else 1), truncated=truncated)


def torch_default(shape: Shape, fan: Fans) -> Law:
    """Return what PyTorch gives linear and convolution layers, kernel and bias alike: uniform, ±1 / √fan_in."""
    bound = 1 / sqrt(fan.into)
    return Uniform(shape, -bound, bound)


def _fit(law: str, shape: Shape) -> None:
    if detail := unfit(law, shape):
        raise Invalid(detail)


def _middle(kernel: Tensor) -> Tensor:
    """Return a view of the matrix (out, in) in the middle of a window."""
    for size in kernel.shape[2:]:
        kernel = kernel[:, :, size // 2]
    return kernel


def _haar(stream: Stream, rows: int, columns: int) -> Tensor:
    """Return orthonormal rows or columns (float64), spread evenly over the group (Mezzadri 2007).

    They are rounded to 28 binary places: what one LAPACK computes otherwise than another is some 2⁻⁵³.
    """
    tall, wide = max(rows, columns), min(rows, columns)
    factors = torch.linalg.qr(torch.from_numpy(stream.normal((tall, wide))).double())
    base: Tensor = (factors.Q * factors.R.diagonal().sign() * _PLACES).round() / _PLACES
    return base if rows >= columns else base.T
