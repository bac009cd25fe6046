"""What weights are drawn from: the same seed and name give the same numbers on every platform.

The bits are PCG64's, a stream that NumPy keeps from version to version (NEP 19); what NumPy and torch themselves make
of bits changes with version and processor.  Here they become numbers by IEEE 754's +, −, ×, ÷ and √ alone, of which
each has one right result.
"""

from collections.abc import Callable, Iterator
from math import prod
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float32]

_PIECE: Final = 65_536
"""Numbers worked on at once: few enough for a core's cache."""
_STEP: Final = 2.0**-32
_WITHIN_TWO: Final = 0.9544997361036416
"""Probability that a standard normal number lies within ±2."""


def _factors(*values: float) -> tuple[np.float32, ...]:
    return tuple(map(np.float32, values))


# Wichura 1988, algorithm AS 241, PPND7: quantiles to about seven digits, each as the ratio of two polynomials, their
# highest power first.
_MIDDLE: Final = (
    _factors(59.109374720, 159.29113202, 50.434271938, 3.3871327179),
    _factors(67.187563600, 78.757757664, 17.895169469, 1.0),
)
_TAIL: Final = (
    _factors(0.17023821103, 1.3067284816, 2.7568153900, 1.4234372777),
    _factors(0.12021132975, 0.73700164250, 1.0),
)
_SPLIT: Final = 0.425

_ARTANH: Final = _factors(2 / 9, 2 / 7, 2 / 5, 2 / 3, 2)
_ROOT_HALF: Final = np.float32(0.5**0.5).view(np.int32)
_LOG_2: Final = np.float32(0.6931471805599453)


class Stream:
    """An endless row of random numbers, each made of 32 bits of its own."""

    def __init__(self, seed: int) -> None:
        """Start at the beginning of the seed's row."""
        self._bits = np.random.PCG64(seed)

    def uniform(self, shape: tuple[int, ...], low: float, high: float) -> Numbers:
        """Return numbers spread evenly from `low` to `high`."""
        middle, width = (low + high) / 2, high - low

        def into(steps: NDArray[np.int32], out: Numbers) -> None:
            out[:] = middle + width * _STEP * (steps + 0.5)

        return self._filled(shape, into)

    def normal(self, shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0, *, cut: bool = False) -> Numbers:
        """Return normal numbers; where `cut`, none is more than two `std` from `mean`, and `std` is before the cut."""
        within = _WITHIN_TWO if cut else 1.0

        def into(steps: NDArray[np.int32], out: Numbers) -> None:
            quantiles(steps, within, out)
            if cut:
                np.clip(out, np.float32(-2), np.float32(2), out=out)
            np.multiply(out, np.float32(std), out=out)
            np.add(out, np.float32(mean), out=out)

        return self._filled(shape, into)

    def ranks(self, rows: int, columns: int) -> NDArray[np.int64]:
        """Return the numbers from 0 to `rows` - 1 in each column, in a random order of its own."""
        words = self._bits.random_raw(rows * columns).reshape(rows, columns)
        return np.argsort(np.argsort(words, axis=0, kind="stable"), axis=0, kind="stable")

    def _filled(self, shape: tuple[int, ...], into: Callable[[NDArray[np.int32], Numbers], None]) -> Numbers:
        filled = np.empty(prod(shape), np.float32)
        for piece in _pieces(filled):
            words = self._bits.random_raw((len(piece) + 1) // 2)
            into(words.astype("<u8", copy=False).view("<i4")[: len(piece)], piece)
        return filled.reshape(shape)


def _pieces(filled: Numbers) -> Iterator[Numbers]:
    return (filled[start : start + _PIECE] for start in range(0, len(filled), _PIECE))


def quantiles(steps: NDArray[np.int32], within: float, out: Numbers) -> None:
    """Put the standard normal quantiles of ½ + `within` · (`steps` + ½) / 2³² into `out`; they have seven digits."""
    np.multiply(steps, np.float32(_STEP * within), out=out, dtype=np.float32, casting="unsafe")
    outside = np.flatnonzero(np.abs(out) > np.float32(_SPLIT))
    out *= _ratio(np.float32(_SPLIT**2) - out * out, _MIDDLE)
    centred = within * _STEP * (steps[outside] + 0.5)
    out[outside] = np.copysign(_tail((0.5 - np.abs(centred)).astype(np.float32)), centred)


def _tail(beyond: Numbers) -> Numbers:
    """Return what a standard normal number exceeds with these probabilities, from 2⁻³³ to 0.075."""
    return _ratio(np.sqrt(-_log(beyond)) - np.float32(1.6), _TAIL)


def _log(x: Numbers) -> Numbers:
    """Return the natural logarithm: of x = m 2ᵉ with m around 1, it is e log 2 + 2 artanh((m − 1) / (m + 1))."""
    above = x.view(np.int32) - _ROOT_HALF
    mantissa = ((above & 0x7FFFFF) + _ROOT_HALF).view(np.float32)
    ratio = (mantissa - np.float32(1)) / (mantissa + np.float32(1))
    return ratio * _polynomial(ratio * ratio, _ARTANH) + (above >> 23).astype(np.float32) * _LOG_2


def _ratio(x: Numbers, above_below: tuple[tuple[np.float32, ...], tuple[np.float32, ...]]) -> Numbers:
    above, below = above_below
    value = _polynomial(x, above)
    value /= _polynomial(x, below)
    return value


def _polynomial(x: Numbers, factors: tuple[np.float32, ...]) -> Numbers:
    """Return the polynomial's values (Horner), its highest power's factor first."""
    value = x * factors[0]
    value += factors[1]
    for factor in factors[2:]:
        value *= x
        value += factor
    return value
