"""Operators that pick or place numbers by index."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from worker.network.ops import beside, integers, op, together

REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _counted(indices: Tensor, length: int, data: Tensor) -> Tensor:
    """Return indices on the device of `data`, counted from the start: -1 is the last."""
    (there,) = beside(data, indices.to(torch.int64))
    return torch.where(there < 0, there + length, there)


@op("Gather")
def gather(data: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """The entries of `data` along an axis that the indices name."""
    along = axis % data.dim()
    picked = data.index_select(along, _counted(indices, data.shape[along], data).reshape(-1))
    return picked.reshape([*data.shape[:along], *indices.shape, *data.shape[along + 1 :]])


@op("GatherElements")
def gather_elements(data: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """The element of `data` that each index names along an axis."""
    return torch.gather(data, axis, _counted(indices, data.shape[axis], data))


@op("GatherND")
def gather_nd(data: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """The slices of `data` that each row of indices names, after the batch axes."""
    depth, front = indices.shape[-1], data.shape[:batch_dims]
    rows = data.reshape(prod(front), *data.shape[batch_dims:])
    where = indices.reshape(prod(front), -1, depth)
    batch = torch.arange(len(rows), device=data.device).reshape(-1, 1).expand(where.shape[:2])
    picks = tuple(_counted(where[..., axis], rows.shape[axis + 1], data) for axis in range(depth))
    return rows[(batch, *picks)].reshape([*front, *indices.shape[batch_dims:-1], *data.shape[batch_dims + depth :]])


def _order(places: Tensor) -> Tensor:
    """Return the order of updates: of two for one place the later stays, and the gradient comes back to that alone."""
    return torch.arange(places.numel(), device=places.device).reshape(places.shape)


@op("ScatterElements")
def scatter_elements(
    data: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none"
) -> Tensor:
    """`data` with the updates placed, or combined, where the indices name."""
    where, (new,) = _counted(indices, data.shape[axis], data), beside(data, updates)
    if reduction == "none":
        if new.requires_grad:
            order = _order(where)
            last = order.new_zeros(data.shape).scatter(axis, where, order).gather(axis, where)
            new = torch.where(last == order, new, new.detach())
        return data.scatter(axis, where, new)
    return data.scatter_reduce(axis, where, new, REDUCTIONS[reduction])


@op("Scatter")
def scatter(data: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0) -> Tensor:
    """`data` with the updates placed where the indices name."""
    return scatter_elements(data, indices, updates, axis=axis)


@op("ScatterND")
def scatter_nd(data: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """`data` with the slices that each row of indices names replaced, or combined, by the updates."""
    depth = indices.shape[-1]
    where = tuple(_counted(indices[..., axis], data.shape[axis], data) for axis in range(depth))
    (new,) = beside(data, updates)
    if reduction == "none" and new.requires_grad:
        order = _order(where[0])
        last = order.new_zeros(data.shape[:depth]).index_put(where, order)[where]
        new = torch.where((last == order).reshape(order.shape + (1,) * (data.dim() - depth)), new, new.detach())
    if reduction in {"none", "add"}:
        return data.index_put(where, new, accumulate=reduction == "add")
    line = torch.zeros_like(where[0])
    for axis in range(depth):
        line = line * data.shape[axis] + where[axis]
    rest = prod(data.shape[depth:])
    rows = line.reshape(-1, 1).expand(-1, rest)
    combined = data.reshape(-1, rest).scatter_reduce(0, rows, new.reshape(-1, rest), REDUCTIONS[reduction])
    return combined.reshape(data.shape)


@op("OneHot", fixed=["indices", "depth"])
def one_hot(indices: Tensor, depth: Tensor, values: Tensor, *, axis: int = -1) -> Tensor:
    """A row of `depth` numbers per index: the second value at the index, the first elsewhere."""
    length = int(depth.reshape(-1)[0])
    place = axis if axis >= 0 else axis + indices.dim() + 1
    valid = (indices >= -length) & (indices < length)
    counted = torch.where(valid, _counted(indices, length, indices), -1).unsqueeze(place)
    steps = torch.arange(length, device=indices.device).reshape((-1,) + (1,) * (indices.dim() - place))
    hot, on, off = together(counted == steps, values[1], values[0])
    return torch.where(hot, on, off)


@op("NonZero", gradient=False)
def non_zero(x: Tensor) -> Tensor:
    """The indices of the elements that are not zero, one column each."""
    return torch.nonzero(x if x.dim() else x.reshape(1)).t()[: x.dim()]


@op("Compress")
def compress(x: Tensor, condition: Tensor, *, axis: int | None = None) -> Tensor:
    """The slices of x along an axis (or its elements) where the condition holds."""
    picked = torch.nonzero(*beside(x, condition)).reshape(-1)
    return (x.reshape(-1) if axis is None else x).index_select(axis or 0, picked)


@op("Trilu")
def trilu(x: Tensor, k: Tensor | None = None, *, upper: int = 1) -> Tensor:
    """The upper or lower triangle of each matrix, from diagonal k."""
    diagonal = 0 if k is None else int(k)
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


@op("TopK", since=10)
def top_k(x: Tensor, k: Tensor, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Tensor, Tensor]:  # noqa: A002  the specification's name
    """The k largest (or smallest) elements along an axis, in order, and their indices."""
    count = int(k)
    found = torch.sort(x, dim=axis, descending=bool(largest), stable=True)
    return found.values.narrow(axis, 0, count), found.indices.narrow(axis, 0, count)


@op("TopK")
def top_k_by_attribute(x: Tensor, *, k: int, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The k largest elements along an axis, in order, and their indices."""
    return top_k(x, torch.tensor(k), axis=axis)


@op("ReverseSequence")
def reverse_sequence(x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    """Each sequence with its first steps, as many as it is long, in reverse order."""
    rows = x.movedim((batch_axis, time_axis), (0, 1))
    steps = torch.arange(rows.shape[1], device=x.device).reshape(1, -1)
    (ends,) = beside(x, lengths.reshape(-1, 1))
    picked = torch.where(steps < ends, ends - 1 - steps, steps)
    batch = torch.arange(len(rows), device=x.device).reshape(-1, 1)
    return rows[batch, picked].movedim((0, 1), (batch_axis, time_axis))


@op("TensorScatter")
def tensor_scatter(
    past: Tensor, update: Tensor, starts: Tensor | None = None, *, axis: int = -2, mode: str = "linear"
) -> Tensor:
    """`past` with the update written along an axis from each sample's start, around the end where `circular`."""
    along = axis % past.dim()
    first = torch.zeros(len(past), dtype=torch.int64) if starts is None else starts
    (begin,) = beside(past, first.reshape(-1, 1))
    where = begin + torch.arange(update.shape[along], device=past.device)
    sizes = [1] * past.dim()
    sizes[0], sizes[along] = where.shape
    rows = where % past.shape[along] if mode == "circular" else where
    return past.scatter(along, rows.reshape(sizes).expand(update.shape), update)


@op("CenterCropPad")
def center_crop_pad(x: Tensor, target: Tensor, *, axes: Sequence[int] | None = None) -> Tensor:
    """X cropped or padded with zeros, evenly on both sides, to the sizes given."""
    for axis, size in zip(range(x.dim()) if axes is None else axes, integers(target), strict=True):
        missing = size - x.shape[axis]
        if missing < 0:
            x = x.narrow(axis, -missing // 2, size)
        else:
            room = list(x.shape)
            room[axis] = size
            x = x.new_zeros(room).slice_scatter(x, axis, missing // 2, missing // 2 + x.shape[axis])
    return x


@op("Unique", since=11)
def unique(x: Tensor, *, axis: int | None = None, sorted: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # noqa: A002  the specification's name
    """The distinct elements or slices; where each is first, which of them every one is, and how often they occur."""
    rows = x.reshape(-1, 1) if axis is None else x.movedim(axis, 0).reshape(x.shape[axis], -1)
    _, inverse, counts = torch.unique(rows.detach(), dim=0, return_inverse=True, return_counts=True)
    first = torch.full_like(counts, len(rows)).scatter_reduce(
        0, inverse, torch.arange(len(rows), device=x.device), "amin"
    )
    if not sorted:
        order = first.argsort()
        first, counts, inverse = first[order], counts[order], order.argsort()[inverse]
    picked = x.reshape(-1)[first] if axis is None else x.index_select(axis, first)
    return picked, first, inverse, counts
