"""What a constant tensor looks like: a mask, a switch, a rotation."""

from collections.abc import Mapping
from itertools import combinations

from torch import Tensor

MASK = -1e4
"""What masks add to a logit is this or less."""
ROUNDING = 1e-3


def is_mask(value: Tensor) -> bool:
    """Whether a tensor hides things: it holds something infinite, something hugely negative, or zeros and ones only."""
    if not value.numel():
        return False
    return not bool(value.isfinite().all()) or bool((value <= MASK).any()) or _switch(value)


def _switch(value: Tensor) -> bool:
    ones, zeros = int((value == 1).sum()), int((value == 0).sum())
    return ones > 0 and zeros > 0 and ones + zeros == value.numel()


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
