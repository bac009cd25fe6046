"""Tensors of two runtimes as numbers that can be compared."""

from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.load.apart import Array

LIMIT: Final = 1e-4
"""Largest relative error that passes.

Two float32 runtimes sum in different orders: over networks exported from torch the largest error seen is 1e-6, and
grows with depth.  An operator that is computed wrongly differs by 1e-2 and more.
"""
HALF_LIMIT: Final = 2e-2
"""The same for a file in float16, which has three digits; ours computes in float32."""
TINY: Final = 1e-12
Doubles: TypeAlias = NDArray[np.float64]


def limit_of(theirs: Array) -> float:
    """Return the largest error that passes for a value of this type."""
    return HALF_LIMIT if theirs.dtype == np.float16 else LIMIT


def number_of(value: object) -> Array | None:
    """Return a tensor as numpy's; None for what is no tensor."""
    if not isinstance(value, Tensor):
        return None
    held = value.detach().cpu()
    return (held.float() if held.dtype == torch.bfloat16 else held).numpy()


def tensor_of(theirs: Array, like: Tensor) -> Tensor:
    """Return an array as a tensor of the type of `like`."""
    return torch.from_numpy(np.array(theirs)).to(like.dtype)


def error(ours: Array, theirs: Array) -> float:
    """Return the largest difference: of real numbers relative to the largest magnitude, of whole ones as it is.

    It is infinite where shapes or kinds differ, or where one is finite and the other is not.
    """
    if ours.shape != theirs.shape or _kind(ours) != _kind(theirs):
        return float("inf")
    if theirs.dtype.kind == "f":
        return _relative(_rounded(ours, theirs).astype(np.float64), theirs.astype(np.float64))
    if np.array_equal(ours, theirs):
        return 0.0
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()) if _kind(ours) == "i" else 1.0


def _kind(value: Array) -> str:
    return "i" if value.dtype.kind == "u" else value.dtype.kind


def _rounded(ours: Array, theirs: Array) -> Array:
    """Return our numbers with the range of theirs: what is too large for float16 is infinite there."""
    with np.errstate(over="ignore"):
        return ours.astype(theirs.dtype) if theirs.dtype.itemsize < ours.dtype.itemsize else ours


def _relative(mine: Doubles, other: Doubles) -> float:
    finite = np.isfinite(other)
    same = np.array_equal(finite, np.isfinite(mine)) and np.array_equal(mine[~finite], other[~finite], equal_nan=True)
    if not same:
        return float("inf")
    if not finite.any():
        return 0.0
    return float(np.abs(mine[finite] - other[finite]).max() / max(np.abs(other[finite]).max(), TINY))
