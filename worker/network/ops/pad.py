"""Padding."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.ops import integers, op
from worker.network.ops.window import torch_order


@op("Pad", since=11)
def pad(
    x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None, *, mode: str = "constant"
) -> Tensor:
    """X with elements added before and after along axes, or taken away where a number is negative."""
    amounts = integers(pads)
    along = list(range(x.dim())) if axes is None else [axis % x.dim() for axis in integers(axes)]
    whole = [0] * (2 * x.dim())
    for place, axis in enumerate(along):
        whole[axis], whole[axis + x.dim()] = amounts[place], amounts[place + len(along)]
    if mode != "constant":
        return _extended(x, whole, mode)
    return _filled_by(x, torch_order(whole), x.new_zeros(()) if value is None else value.reshape(-1)[0])


@op("Pad", since=2)
def pad_by_attribute(x: Tensor, *, pads: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """X with elements added before and after along each axis."""
    return _extended(x, pads, mode) if mode != "constant" else _filled(x, torch_order(pads), value)


def _filled_by(x: Tensor, amounts: list[int], value: Tensor) -> Tensor:
    """Return x with one value around it, through which the gradient comes back to that value too."""
    if not value.requires_grad:
        return _filled(x, amounts, value.item())
    outside = _filled(x.new_zeros(x.shape, dtype=torch.bool), amounts, 1.0)
    return torch.where(outside, value.to(x), _filled(x, amounts, 0.0))


def _filled(x: Tensor, amounts: list[int], value: float) -> Tensor:
    if x.dtype == torch.bool:
        return functional.pad(x.to(torch.int8), amounts, value=value).to(torch.bool)
    return functional.pad(x, amounts, value=value)


def _extended(x: Tensor, pads: Sequence[int], mode: str) -> Tensor:
    """Return x padded with its own elements: the last one (edge), mirrored (reflect) or from the other end (wrap)."""
    for axis in range(x.dim()):
        before, after, length = pads[axis], pads[axis + x.dim()], x.shape[axis]
        if not before and not after:
            continue
        places = torch.arange(-before, length + after, device=x.device)
        if mode == "edge":
            picked = places.clamp(0, length - 1)
        elif mode == "wrap":
            picked = places % length
        else:
            period = max(2 * (length - 1), 1)
            folded = places % period
            picked = torch.where(folded >= length, period - folded, folded)
        x = x.index_select(axis, picked)
    return x
