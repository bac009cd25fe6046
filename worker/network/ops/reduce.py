"""Operators that take many numbers to one: sums, means, extremes, norms, positions, running sums."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from worker.network.ops import integers, op

Reduction = Callable[[Tensor, list[int], bool], Tensor]


def _reduction(name: str, reduce: Reduction, alone: Callable[[Tensor], Tensor], axes_input: int = 18) -> None:
    """Register a reduction twice: axes as an attribute, and from version `axes_input` on as an input.

    `alone` is what remains of it where `noop_with_empty_axes` leaves no axis.
    """

    def by_input(x: Tensor, axes: Tensor | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        along = [] if axes is None else integers(axes)
        if not along and noop_with_empty_axes:
            return alone(x)
        return by_attribute(x, axes=along, keepdims=keepdims)

    def by_attribute(x: Tensor, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Tensor:
        if x.dim() == 0:
            return reduce(x.reshape(1), [0], False)  # noqa: FBT003  torch's own order
        along = sorted({axis % x.dim() for axis in axes or range(x.dim())})
        return reduce(x, along, bool(keepdims))

    op(name, since=axes_input)(by_input)
    op(name)(by_attribute)


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001  torch's own order
    return x.sum(axes, keep, dtype=x.dtype)


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001
    return x.mean(axes, keep) if x.is_floating_point() else x.double().mean(axes, keep).to(x.dtype)


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001
    y = x
    for axis in reversed(axes):
        y = y.prod(axis, keepdim=keep, dtype=x.dtype)
    return y


def _extreme(sign: int) -> Reduction:
    def extreme(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001
        if any(x.shape[axis] == 0 for axis in axes):
            return _of_nothing(x, axes, keep, sign)
        values = x.to(torch.uint8) if x.dtype == torch.bool else x
        return (values.amax(axes, keep) if sign > 0 else values.amin(axes, keep)).to(x.dtype)

    return extreme


def _of_nothing(x: Tensor, axes: list[int], keep: bool, sign: int) -> Tensor:  # noqa: FBT001
    sizes = [1 if axis in axes else size for axis, size in enumerate(x.shape) if keep or axis not in axes]
    if x.dtype == torch.bool:
        return torch.full(sizes, sign < 0, device=x.device)
    if x.is_floating_point():
        return torch.full(sizes, -sign * math.inf, dtype=x.dtype, device=x.device)
    limits = torch.iinfo(x.dtype)
    return torch.full(sizes, limits.min if sign > 0 else limits.max, dtype=x.dtype, device=x.device)


def _exact(x: Tensor) -> Tensor:
    """Return x in a type that a sum of many does not overflow."""
    if not x.is_floating_point():
        return x.double()
    return x.float() if x.element_size() < torch.float32.itemsize else x


def _l1(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001
    return x.abs().sum(axes, keep, dtype=x.dtype)


def _l2(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001
    wide = _exact(x)
    if wide.is_floating_point() and x.is_floating_point():
        norm: Tensor = torch.linalg.vector_norm(wide, 2, axes, keep)
        return norm.to(x.dtype)
    return wide.square().sum(axes, keep).sqrt().to(x.dtype)


def _log_sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001
    return _exact(x).sum(axes, keep).log().to(x.dtype)


def _log_sum_exp(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001
    return torch.logsumexp(_exact(x), axes, keep).to(x.dtype)


def _sum_square(x: Tensor, axes: list[int], keep: bool) -> Tensor:  # noqa: FBT001
    return x.square().sum(axes, keep, dtype=x.dtype)


def _itself(x: Tensor) -> Tensor:
    return x


_reduction("ReduceSum", _sum, _itself, axes_input=13)
_reduction("ReduceMean", _mean, _itself)
_reduction("ReduceProd", _product, _itself)
_reduction("ReduceMax", _extreme(1), _itself)
_reduction("ReduceMin", _extreme(-1), _itself)
_reduction("ReduceL1", _l1, torch.abs)
_reduction("ReduceL2", _l2, torch.abs)
_reduction("ReduceLogSum", _log_sum, torch.log)
_reduction("ReduceLogSumExp", _log_sum_exp, _itself)
_reduction("ReduceSumSquare", _sum_square, torch.square)


@op("ArgMax", gradient=False)
def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Where the largest element along an axis stands: the first, or the last of equals."""
    return _position(x == x.amax(axis, keepdim=True), axis, bool(keepdims), bool(select_last_index))


@op("ArgMin", gradient=False)
def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Where the smallest element along an axis stands: the first, or the last of equals."""
    return _position(x == x.amin(axis, keepdim=True), axis, bool(keepdims), bool(select_last_index))


def _position(here: Tensor, axis: int, keep: bool, last: bool) -> Tensor:  # noqa: FBT001
    values = here.flip(axis) if last else here
    found = values.to(torch.uint8).argmax(axis, keepdim=keep)
    return here.shape[axis] - 1 - found if last else found


@op("CumSum")
def cum_sum(x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """The running sum along an axis."""
    return _running(torch.cumsum, x, int(axis), exclusive=exclusive, reverse=reverse)


@op("CumProd")
def cum_prod(x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """The running product along an axis."""
    return _running(torch.cumprod, x, int(axis), exclusive=exclusive, reverse=reverse)


def _running(function: Callable[..., Tensor], x: Tensor, axis: int, *, exclusive: int, reverse: int) -> Tensor:
    y = x.flip(axis) if reverse else x
    if exclusive:
        first = torch.full_like(y.narrow(axis, 0, 1), function is torch.cumprod)
        y = torch.cat([first, y.narrow(axis, 0, y.shape[axis] - 1)], axis)
    total: Tensor = function(y, axis, dtype=x.dtype)
    return total.flip(axis) if reverse else total
