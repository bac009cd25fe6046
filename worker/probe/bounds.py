"""Bounds that keep an operator from what it cannot bear, one function per kind of operator; no pass.

Each takes the operator's inputs and returns None where they hold nothing of the sort.  A bound leaves the batch's other
numbers as they are, as long as these are no less than 1e-12.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Final, TypeAlias

from torch import Tensor

_ROOM: Final = 1e-7
"""Keras's epsilon."""
_TINY: Final = 1e-12
"""Its square root, 1e-6, is what a guarded root gives for zero."""
_SHUT: Final = -1e9
"""What a mask adds instead of -inf: e to its power is zero beside any other score."""
_EXPONENT: Final = 80.0
"""e to the power of 80 is 5.5e34; float32 ends at 3.4e38."""
_ARC: Final = 1 - 1e-6


@dataclass(frozen=True)
class Guard:
    """Bounds for one input of an operator; `around` are numbers that it keeps off, on both sides of zero."""

    place: int
    low: float = -inf
    high: float = inf
    around: float = 0.0

    def __str__(self) -> str:
        """Return the bounds in words."""
        if self.around:
            return f"at least {self.around:g} away from zero"
        ends = [f"at {self.low:g} or more"] * isfinite(self.low) + [f"at {self.high:g} or less"] * isfinite(self.high)
        return " and ".join(ends)


_Fed: TypeAlias = Sequence[Tensor]
_Choose: TypeAlias = Callable[[_Fed], Guard | None]


def bounds(op: str, fed: Sequence[Tensor]) -> Guard | None:
    """Return the bounds for an operator that made what is not finite of these inputs; None where none would help."""
    if not fed or not fed[0].is_floating_point() or not fed[0].numel():
        return None
    guard = _GUARDS.get(op, _infinite)(fed)
    return guard if guard is not None and fed[guard.place].is_floating_point() else None


def _under(fed: _Fed, low: float) -> Guard:
    """Return a bound from below that leaves every positive number of the batch alone, down to 1e-12."""
    positive = fed[0][(fed[0] > 0) & fed[0].isfinite()]
    least = float(positive.min()) if positive.numel() else low
    return Guard(0, low=max(min(low, least), _TINY))


def _logarithm(fed: _Fed) -> Guard | None:
    return _under(fed, _ROOM) if bool((fed[0] <= 0).any()) else None


def _root(fed: _Fed) -> Guard | None:
    return Guard(0, low=_TINY) if bool((fed[0] <= 0).any()) else None


def _divisor(fed: _Fed) -> Guard | None:
    place, value = len(fed) - 1, fed[-1].abs()
    if not bool((value == 0).any()):
        return None
    other = value[(value > 0) & value.isfinite()]
    least = float(other.min()) if other.numel() else _ROOM
    size = max(min(_ROOM, least), _TINY)
    return Guard(place, low=size) if bool((fed[-1] >= 0).all()) else Guard(place, around=size)


def _power(fed: _Fed) -> Guard | None:
    if not bool((fed[0] <= 0).any()):
        return None
    whole = bool((fed[1].double() == fed[1].double().round()).all())
    if whole:
        return Guard(0, around=_ROOM) if bool((fed[1] < 0).any()) and bool((fed[0] == 0).any()) else None
    return _under(fed, _ROOM) if bool((fed[1] < 0).any()) else Guard(0, low=_TINY)


def _exponential(fed: _Fed) -> Guard | None:
    return Guard(0, high=_EXPONENT) if float(fed[0].max()) > _EXPONENT else None


def _arc(fed: _Fed) -> Guard | None:
    return Guard(0, low=-_ARC, high=_ARC) if float(fed[0].abs().max()) >= 1 else None


def _hyperbolic(fed: _Fed) -> Guard | None:
    return Guard(0, low=1 + 1e-6) if float(fed[0].min()) <= 1 else None


def _softmax(fed: _Fed) -> Guard | None:
    return Guard(0, low=_SHUT) if bool(fed[0].isneginf().any()) else None


def _infinite(fed: _Fed) -> Guard | None:
    """Return bounds for the first input that holds infinities: what gave them was meant, as by a mask."""
    place = next((index for index, value in enumerate(fed) if value.is_floating_point() and value.isinf().any()), None)
    return None if place is None else Guard(place, low=_SHUT, high=-_SHUT)


_GUARDS: Final[Mapping[str, _Choose]] = {
    "Log": _logarithm,
    "Sqrt": _root,
    "Div": _divisor,
    "Reciprocal": _divisor,
    "Pow": _power,
    "Exp": _exponential,
    "Acos": _arc,
    "Asin": _arc,
    "Atanh": _arc,
    "Acosh": _hyperbolic,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "ReduceLogSumExp": _softmax,
}
