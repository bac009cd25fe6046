"""What a constant tensor looks like: a mask, a switch, a rotation, a ladder of numbers, a grid."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import torch
from torch import Tensor

MASK = -1e4
"""What masks add to a logit is this or less."""
ROUNDING = 1e-3
STEPS = 4
"""Fewest numbers of a ladder: fewer stand at equal distances by chance."""
COORDINATES = 4
"""Most coordinates of a grid's points."""
POINTS = 9
"""Fewest points of a grid."""
LARGEST = 2**16
"""Most numbers of a grid."""


def is_mask(value: Tensor) -> bool:
    """Whether a tensor hides things: it holds something infinite, something hugely negative, or zeros and ones only."""
    if not value.numel():
        return False
    return not bool(value.isfinite().all()) or bool((value <= MASK).any()) or _switch(value)


def _switch(value: Tensor) -> bool:
    ones, zeros = int((value == 1).sum()), int((value == 0).sum())
    return ones > 0 and zeros > 0 and ones + zeros == value.numel()


def is_written_out(value: Tensor) -> bool:
    """Whether a tensor was written out by a formula, not drawn or learnt: a ladder, a grid, or a table of waves."""
    return _ladder(value) or _ramps(value) or is_table(value)


def is_table(value: Tensor) -> bool:
    """Whether a tensor is a grid or a table of waves: what no weight is, be it filled with the simplest numbers."""
    return _grid(value) or _waves(value)


def _ladder(value: Tensor) -> bool:
    """Whether the numbers lie along one axis, at equal distances or with equal ratios: positions, or frequencies."""
    if value.numel() < STEPS or value.numel() != max(value.shape):
        return False
    steps = value.reshape(-1).double()
    if not bool(steps.isfinite().all()):
        return False
    return _even(steps) or (bool((steps > 0).all()) and _even(steps.log()))


def _ramps(value: Tensor) -> bool:
    """Whether every row is a ladder of equal steps, as biases that grow with the distance are (ALiBi)."""
    if value.dim() < 2 or value.shape[-1] < STEPS or not value.numel():  # noqa: PLR2004
        return False
    rows = value.reshape(-1, value.shape[-1])
    return _even(rows[0].double()) and all(_even(row) for row in rows.double())


def _even(steps: Tensor) -> bool:
    apart = steps.diff()
    return bool(apart[0] != 0) and bool(((apart - apart.mean()).abs() <= ROUNDING * apart.mean().abs()).all())


def _grid(value: Tensor) -> bool:
    """Whether the tensor holds each point of a grid once: as many as its coordinates have values, multiplied."""
    if not POINTS <= value.numel() <= LARGEST:
        return False
    return any(_once(value, axis) for axis, size in enumerate(value.shape) if 1 < size <= COORDINATES)


def _once(value: Tensor, axis: int) -> bool:
    points = value.numel() // value.shape[axis]
    counts = []
    for coordinate in value.unbind(axis):
        counts.append(len(set(coordinate.reshape(-1).tolist())))
        if counts[-1] == points:
            return False
    return points >= POINTS and sum(count > 1 for count in counts) > 1 and torch.Size(counts).numel() == points


def _waves(value: Tensor) -> bool:
    """Whether each row holds cosines and sines of the same angles, side by side or one half after the other."""
    if value.dim() < 2 or value.shape[-1] % 2 or not value.numel():  # noqa: PLR2004
        return False
    rows = value.reshape(-1, value.shape[-1])
    return any(
        _unit(*first) and _unit(*whole) and _wave(value)
        for first, whole in zip(_halves(rows[:1]), _halves(rows), strict=True)
    )


def _halves(rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    half = rows.shape[-1] // 2
    yield rows[:, :half], rows[:, half:]
    yield rows[:, ::2], rows[:, 1::2]


def turns(tables: Mapping[str, Tensor]) -> set[str]:
    """Return the tables that come in pairs of a cosine and a sine: their squares add up to one everywhere."""
    waves = {name: value for name, value in tables.items() if _wave(value)}
    lasts = {name: float(value.reshape(-1)[-1]) ** 2 for name, value in waves.items()}
    return {
        name
        for one, other in combinations(waves, 2)
        if abs(lasts[one] + lasts[other] - 1) <= ROUNDING and _unit(waves[one], waves[other])
        for name in (one, other)
    }


def _wave(value: Tensor) -> bool:
    return value.numel() > 1 and bool(value.abs().max() <= 1) and bool((value.frac() != 0).any())


def _unit(cosine: Tensor, sine: Tensor) -> bool:
    return cosine.shape == sine.shape and bool(((cosine.square() + sine.square() - 1).abs() <= ROUNDING).all())
