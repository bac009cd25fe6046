"""Moments of many tensors at once: taken on their device in their own type, read in one synchronisation.

A sum, a norm and a count of what is not zero cost three to five elementwise operators of that size; float64 would cost
twenty.  float32 bears them as long as squares neither overflow nor underflow and the variance is no small difference of
two large numbers: the few tensors where that does not hold are measured again in float64.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite, sqrt
from typing import Final, TypeVar

import torch
from torch import Tensor

_SAFE: Final = (1e-15, 1e15)
"""Norms whose squares float32 holds to its precision."""
_CANCELLED: Final = 1e-3
"""Share of the second moment under which a variance is taken again in float64."""

_Some = TypeVar("_Some")


@dataclass(frozen=True)
class Moments:
    """Of a tensor's finite numbers."""

    mean: float
    rms: float
    zero: float
    """Share of exact zeros among all numbers."""
    nonfinite: float
    """Share of NaN and infinities."""

    @property
    def std(self) -> float:
        """The standard deviation."""
        return sqrt(max(self.rms**2 - self.mean**2, 0.0))


@dataclass(frozen=True)
class Norm:
    """Of a tensor's finite numbers."""

    norm: float
    rms: float
    nonfinite: float


def read(scalars: Sequence[Tensor]) -> list[float]:
    """Return the numbers that scalar tensors hold, in one synchronisation."""
    values: list[float] = torch.stack([scalar.double() for scalar in scalars]).tolist() if scalars else []
    return values


def moments(values: Mapping[str, Tensor]) -> dict[str, Moments]:
    """Return the moments of each tensor."""
    return _each(values, _three, _moments, _exact_moments)


def norms(values: Mapping[str, Tensor]) -> dict[str, Norm]:
    """Return the norm of each tensor."""
    return _each(values, _one, _norm, _exact_norm)


def _each(
    values: Mapping[str, Tensor],
    take: Callable[[Tensor], Sequence[Tensor]],
    make: Callable[[Sequence[float], int], _Some | None],
    exact: Callable[[Tensor], _Some],
) -> dict[str, _Some]:
    taken = {name: take(_plain(value)) for name, value in values.items()}
    numbers = iter(read([scalar for scalars in taken.values() for scalar in scalars]))
    found = {}
    for name, scalars in taken.items():
        made = make(list(islice(numbers, len(scalars))), values[name].numel())
        found[name] = exact(values[name].detach()) if made is None else made
    return found


def _plain(value: Tensor) -> Tensor:
    """Return a tensor that float32's operators take; halves are too narrow for sums of squares."""
    value = value.detach()
    return value if value.dtype in {torch.float32, torch.float64} else value.float()


def _three(value: Tensor) -> Sequence[Tensor]:
    return value.sum(), _length(value), _length(value.sign())


def _one(value: Tensor) -> Sequence[Tensor]:
    return (_length(value),)


def _length(value: Tensor) -> Tensor:
    """Return the norm, row by row first: torch adds up a million float32 squares to five digits only."""
    rows = torch.linalg.vector_norm(value.flatten(1), dim=1) if value.dim() > 1 else value
    length: Tensor = torch.linalg.vector_norm(rows)
    return length


def _moments(numbers: Sequence[float], count: int) -> Moments | None:
    """Return the moments that a sum, a norm and the norm of the signs give; None where float32 did not bear them."""
    total, norm, signs = numbers
    if not _bears(norm, signs) or count == 0:
        return None
    mean, power = total / count, norm**2 / count
    if power - mean**2 < _CANCELLED * power:
        return None
    return Moments(mean, sqrt(power), max(1 - round(signs**2) / count, 0.0), 0.0)


def _norm(numbers: Sequence[float], count: int) -> Norm | None:
    (norm,) = numbers
    return Norm(norm, norm / sqrt(count), 0.0) if _SAFE[0] < norm < _SAFE[1] else None


def _bears(norm: float, signs: float) -> bool:
    return (_SAFE[0] < norm < _SAFE[1]) and isfinite(signs)


def _exact_moments(value: Tensor) -> Moments:
    value = value.double()
    finite, nonfinite = _finite(value)
    zero = float((value == 0).double().mean()) if value.numel() else 0.0
    if not finite.numel():
        return Moments(0.0, 0.0, zero, nonfinite)
    return Moments(float(finite.mean()), _rms(finite), zero, nonfinite)


def _exact_norm(value: Tensor) -> Norm:
    finite, nonfinite = _finite(value.double())
    norm = _rms(finite) * sqrt(finite.numel())
    return Norm(norm, norm / sqrt(max(finite.numel(), 1)), nonfinite)


def _finite(value: Tensor) -> tuple[Tensor, float]:
    finite = value[value.isfinite()]
    return finite, 1 - finite.numel() / max(value.numel(), 1)


def _rms(value: Tensor) -> float:
    """Return the root mean square of float64 numbers, scaled so that no square underflows."""
    largest = float(value.abs().max()) if value.numel() else 0.0
    return largest * float((value / largest).square().mean().sqrt()) if largest > 0 else 0.0
