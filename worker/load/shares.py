"""Adaptive pooling, for which ONNX has no operator: windows that share an axis evenly, as PyTorch cuts them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from worker.load.builder import Builder


def shared_out(build: Builder, value: str, before: Sequence[int], after: Sequence[int], *, mean: bool) -> str:
    """Put down the mean or the largest number of `after` windows along the axes behind the channels.

    Where the windows are alike, that is AveragePool or MaxPool; else each axis's windows are gathered and reduced.
    """
    if all(size % wanted == 0 for size, wanted in zip(before, after, strict=True)):
        kernel = tuple(size // wanted for size, wanted in zip(before, after, strict=True))
        return build.node("AveragePool" if mean else "MaxPool", value, kernel_shape=kernel, strides=kernel)
    unequal = [axis for axis, sizes in enumerate(zip(before, after, strict=True)) if sizes[0] != sizes[1]]
    for axis in unequal:
        part = build.inner(f"axis{axis}") if axis != unequal[-1] else build
        value = _reduced(part, value, axis + 2, windows(before[axis], after[axis]), len(before) - axis - 1, mean=mean)
    return value


class Windows(NamedTuple):
    """Which numbers of an axis each window holds, and what each counts in a mean: (wanted, widest)."""

    places: Tensor
    """The last one is repeated where a window is smaller than the widest."""
    shares: Tensor


def windows(size: int, wanted: int) -> Windows:
    """Return the windows that share an axis of `size` numbers: from floor(i · n / m) to ceil((i + 1) · n / m)."""
    begins = torch.arange(wanted) * size // wanted
    lengths = (torch.arange(1, wanted + 1) * size + wanted - 1) // wanted - begins
    widest = int(lengths.max())
    steps = torch.arange(widest).minimum(lengths[:, None] - 1)
    repeats = torch.where(steps == lengths[:, None] - 1, widest - lengths[:, None] + 1, 1)
    return Windows(begins[:, None] + steps, 1 / (lengths[:, None] * repeats).float())


def _reduced(build: Builder, value: str, axis: int, shared: Windows, behind: int, *, mean: bool) -> str:
    """Put down the mean or the maximum of the windows along an axis that has `behind` axes behind it."""
    gathered = build.node("Gather", value, build.constant("places", shared.places), role="windows", axis=axis)
    along = build.constant("along", torch.tensor([axis + 1]))
    if not mean:
        return build.node("ReduceMax", gathered, along, keepdims=0)
    shares = build.constant("shares", shared.shares.reshape(*shared.shares.shape, *(1,) * behind))
    return build.node("ReduceSum", build.node("Mul", gathered, shares, role="weighted"), along, keepdims=0)
