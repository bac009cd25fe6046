"""The law of weights as a file states it: one sentence for all that one field of it draws."""

from collections.abc import Iterator, Mapping, Sequence
from math import isclose
from typing import Final, Literal, NamedTuple, TypeAlias

from worker.network.graph import Law
from worker.network.laws import (
    TRUNCATED,
    Constant,
    DeltaOrthogonal,
    Fans,
    Identity,
    Normal,
    Orthogonal,
    Permuted,
    Reordered,
    Reshaped,
    Stacked,
    Uniform,
)
from worker.patch.same_law import simple

_DIGITS: Final = 9

Orthonormal: TypeAlias = Literal["orthogonal", "delta_orthogonal", "identity"]
_GAINED: Final[Mapping[type, Orthonormal]] = {
    Orthogonal: "orthogonal",
    DeltaOrthogonal: "delta_orthogonal",
    Identity: "identity",
}

Distribution: TypeAlias = Literal["normal", "truncated_normal", "uniform"]


class Scaling(NamedTuple):
    """A law of mean 0 whose variance is `scale` / fan."""

    scale: float
    mode: Literal["fan_in", "fan_avg", "fan_out"]
    distribution: Distribution


class Absolute(NamedTuple):
    """A law with two numbers of its own: mean and standard deviation (before a cut), or low and high."""

    first: float
    second: float
    distribution: Distribution


class Fixed(NamedTuple):
    """One number everywhere."""

    value: float


class Gained(NamedTuple):
    """An orthogonal matrix, one in the middle of a window, or the identity, times a gain."""

    gain: float
    kind: Orthonormal


Recipe: TypeAlias = Scaling | Absolute | Fixed | Gained


class Drawn(NamedTuple):
    """A law that a weight must follow, and the fans that it is scaled by."""

    law: Law
    fan: Fans | None
    """None where a format does not scale this law by them."""
    bias: bool = False
    """Whether it is a bias, whose spread seldom follows the fans."""


def recipe(drawn: Sequence[Drawn]) -> Recipe | None:
    """Return the one sentence that is true of all these weights; None where none is.

    A sentence about fans is taken before one of absolute numbers, since it holds for layers of any size.
    """
    each = [list(_candidates(law, one.fan, bias=one.bias)) for one in drawn for law in _parts(one.law)]
    if not each:
        return None
    return next((first for first in each[0] if all(any(_same(first, two) for two in more) for more in each[1:])), None)


def _parts(law: Law) -> Iterator[Law]:
    law = simple(law)
    while isinstance(law, Permuted | Reordered | Reshaped):
        law = law.law
    if isinstance(law, Stacked):
        for part in law.laws:
            yield from _parts(part)
    else:
        yield law


def _candidates(law: Law, fan: Fans | None, *, bias: bool) -> Iterator[Recipe]:
    match law:
        case Normal():
            kind: Distribution = "truncated_normal" if law.truncated else "normal"
            absolute = Absolute(_short(law.mean), _short(law.std), kind)
            if bias:
                yield absolute
            if not law.mean:
                yield from _scalings((law.std * (TRUNCATED if law.truncated else 1)) ** 2, fan, kind)
            yield absolute
        case Uniform():
            if law.low == -law.high:
                yield from _scalings(law.high**2 / 3, fan, "uniform")
            yield Absolute(_short(law.low), _short(law.high), "uniform")
        case Constant():
            yield Fixed(_short(law.value))
        case Orthogonal() | DeltaOrthogonal() | Identity():
            yield Gained(_short(law.gain), _GAINED[type(law)])


def _scalings(variance: float, fan: Fans | None, distribution: Distribution) -> Iterator[Recipe]:
    if fan is None:
        return
    yield Scaling(_short(variance * fan.into), "fan_in", distribution)
    yield Scaling(_short(variance * (fan.into + fan.out) / 2), "fan_avg", distribution)
    yield Scaling(_short(variance * fan.out), "fan_out", distribution)


def _short(number: float) -> float:
    """Return a number without the last digits, which are rounding."""
    return float(f"{number:.{_DIGITS}g}")


def _same(one: Recipe, two: Recipe) -> bool:
    if type(one) is not type(two):
        return False
    return all(
        isclose(left, right, rel_tol=1e-7) if isinstance(left, float) and isinstance(right, float) else left == right
        for left, right in zip(one, two, strict=True)
    )
