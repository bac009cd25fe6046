"""The laws that draw weights, each a frozen value that `Graph.redrawn` calls with a seeded generator.

A law named after its author takes the shape and the fans, and gives the variance of the paper: He 2 / fan_in, Xavier
(Glorot) 2 / (fan_in + fan_out), LeCun 1 / fan_in.  All draw float32 on the CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt
from typing import NamedTuple, TypeAlias

import torch
from torch import Generator, Tensor, nn

from worker.network.graph import Law

Shape: TypeAlias = tuple[int, ...]

_TRUNCATED = 0.87962566103423978
"""Standard deviation of a standard normal cut at ±2."""


class Fans(NamedTuple):
    """How many numbers each output is summed from, and how many outputs each input goes to."""

    into: int
    out: int


def fans(shape: Shape, op: str, *, transposed: bool = False) -> Fans:
    """Return the fans of an operator's kernel of this shape.

    Gemm, MatMul: (in, out), or (out, in) where `transposed` (Gemm's transB).  Conv: (out, in / groups, window…), the
    window multiplies both, as in torch.nn.init.  ConvTranspose: (in, out / groups, window…).  LSTM, GRU, RNN:
    (directions, gates · out, in); a gate's own fans need the gates told apart.  Gather: (rows, out); a row is looked
    up, not summed.
    """
    if op == "Gather":
        return Fans(1, prod(shape[1:]))
    if op in {"Conv", "ConvTranspose"}:
        window = prod(shape[2:])
        first, second = shape[0] * window, shape[1] * window
        return Fans(second, first) if op == "Conv" else Fans(first, second)
    if len(shape) == 1:
        return Fans(shape[0], 1)
    return Fans(shape[-1], shape[-2]) if transposed or op in {"LSTM", "GRU", "RNN"} else Fans(shape[-2], shape[-1])


@dataclass(frozen=True)
class Normal:
    """Normal, and cut at two standard deviations where `truncated` (`std` is before the cut)."""

    shape: Shape
    std: float
    mean: float = 0.0
    truncated: bool = False

    def __call__(self, generator: Generator) -> Tensor:
        """Draw."""
        empty = torch.empty(self.shape)
        if not self.truncated:
            return nn.init.normal_(empty, self.mean, self.std, generator=generator)
        low, high = self.mean - 2 * self.std, self.mean + 2 * self.std
        return nn.init.trunc_normal_(empty, self.mean, self.std, low, high, generator=generator)


@dataclass(frozen=True)
class Uniform:
    """Uniform between `low` and `high`."""

    shape: Shape
    low: float
    high: float

    def __call__(self, generator: Generator) -> Tensor:
        """Draw."""
        return nn.init.uniform_(torch.empty(self.shape), self.low, self.high, generator=generator)


@dataclass(frozen=True)
class Constant:
    """The same everywhere."""

    shape: Shape
    value: float

    def __call__(self, generator: Generator) -> Tensor:  # noqa: ARG002  nothing is drawn
        """Fill."""
        return torch.full(self.shape, self.value, dtype=torch.float32)


@dataclass(frozen=True)
class Orthogonal:
    """`gain` times a matrix whose rows or columns (whichever are fewer) are orthonormal.

    A kernel with more than two axes is a matrix of its first axis by all others (Saxe, McClelland and Ganguli 2014).
    """

    shape: Shape
    gain: float = 1.0

    def __call__(self, generator: Generator) -> Tensor:
        """Draw."""
        return nn.init.orthogonal_(torch.empty(self.shape), self.gain, generator=generator)


@dataclass(frozen=True)
class Identity:
    """`gain` on the diagonal; for convolutions, in the middle of the window (a Dirac kernel)."""

    shape: Shape
    gain: float = 1.0

    def __call__(self, generator: Generator) -> Tensor:  # noqa: ARG002  nothing is drawn
        """Fill."""
        filled = torch.zeros(self.shape)
        middle = tuple(size // 2 for size in self.shape[2:])
        for index in range(min(self.shape[:2])):
            filled[(index, index, *middle)] = self.gain
        return filled


@dataclass(frozen=True)
class Shifted:
    """What another law draws, plus a constant."""

    law: Law
    by: float

    def __call__(self, generator: Generator) -> Tensor:
        """Draw."""
        return self.law(generator) + self.by


@dataclass(frozen=True)
class Stacked:
    """What several laws draw, one behind the other along the first axis, then in `shape`.

    Recurrent kernels are drawn gate by gate, so that each gate's matrix follows its law.
    """

    laws: tuple[Law, ...]
    shape: Shape

    def __call__(self, generator: Generator) -> Tensor:
        """Draw."""
        return torch.cat([law(generator) for law in self.laws]).reshape(self.shape)


def scaled(shape: Shape, variance: float, distribution: str = "normal") -> Law:
    """Return the normal, truncated_normal or uniform law of mean 0 and this variance."""
    if distribution == "uniform":
        return Uniform(shape, -sqrt(3 * variance), sqrt(3 * variance))
    truncated = distribution == "truncated_normal"
    return Normal(shape, sqrt(variance) / (_TRUNCATED if truncated else 1), truncated=truncated)


def he_normal(shape: Shape, fan: Fans, gain: float = 1.0) -> Law:
    """Return the normal law of variance 2 gain² / fan_in (He et al. 2015)."""
    return scaled(shape, 2 * gain**2 / fan.into)


def he_uniform(shape: Shape, fan: Fans, gain: float = 1.0) -> Law:
    """Return the uniform law of variance 2 gain² / fan_in (He et al. 2015)."""
    return scaled(shape, 2 * gain**2 / fan.into, "uniform")


def xavier_normal(shape: Shape, fan: Fans, gain: float = 1.0) -> Law:
    """Return the normal law of variance 2 gain² / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return scaled(shape, 2 * gain**2 / (fan.into + fan.out))


def xavier_uniform(shape: Shape, fan: Fans, gain: float = 1.0) -> Law:
    """Return the uniform law of variance 2 gain² / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return scaled(shape, 2 * gain**2 / (fan.into + fan.out), "uniform")


def lecun_normal(shape: Shape, fan: Fans, gain: float = 1.0) -> Law:
    """Return the normal law of variance gain² / fan_in (LeCun et al. 1998)."""
    return scaled(shape, gain**2 / fan.into)


def lecun_uniform(shape: Shape, fan: Fans, gain: float = 1.0) -> Law:
    """Return the uniform law of variance gain² / fan_in (LeCun et al. 1998)."""
    return scaled(shape, gain**2 / fan.into, "uniform")


def torch_default(shape: Shape, fan: Fans) -> Law:
    """Return what PyTorch gives linear and convolution layers, kernel and bias alike: uniform, ±1 / √fan_in."""
    bound = 1 / sqrt(fan.into)
    return Uniform(shape, -bound, bound)


SCALED: dict[str, Callable[[Shape, Fans, float], Law]] = {
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "lecun_normal": lecun_normal,
    "lecun_uniform": lecun_uniform,
}
"""The laws whose variance follows the fans, by the name that a file gives them."""
