"""Numbers that lie outside of a model's protobuf: whoever reads one says where, and no other file is ever opened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Final, TypeAlias

import torch
from onnx import TensorProto
from torch import Tensor

from service.contract.problem import UnreadableModel
from worker.network.dtypes import dtype

Find: TypeAlias = Callable[[TensorProto, int | None, int], Tensor]
"""Returns the bytes of a tensor: so many of them (None where that is not known), at a multiple of an alignment."""

PACKED: Final = frozenset(
    {TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1, TensorProto.INT2, TensorProto.UINT2}
)
"""Types of which a byte holds several numbers."""

_place: ContextVar[Find | None] = ContextVar("place", default=None)


@contextmanager
def found_by(find: Find) -> Iterator[None]:
    """Have tensors that lie elsewhere found by `find` while the context lasts."""
    token = _place.set(find)
    try:
        yield
    finally:
        _place.reset(token)


def tensor(proto: TensorProto) -> Tensor | None:
    """Return a tensor whose numbers lie elsewhere; None where several share a byte: `inlined` has those.

    UnreadableModel where there is no such place, or where its bytes do not fit the tensor's shape.
    """
    kind = dtype(proto.data_type)
    if proto.data_type in PACKED:
        return None
    sizes = shape(proto)
    raw = _found(proto, prod(sizes) * kind.itemsize, kind.itemsize)
    return (raw != 0 if kind == torch.bool else raw.view(kind)).reshape(sizes)


def inlined(proto: TensorProto) -> TensorProto:
    """Return a tensor's protobuf with its numbers in it; UnreadableModel where there is no such place."""
    held = TensorProto()
    held.CopyFrom(proto)
    held.raw_data = _found(proto, None, 1).numpy().tobytes()
    held.data_location = TensorProto.DEFAULT
    del held.external_data[:]
    return held


def shape(proto: TensorProto) -> tuple[int, ...]:
    """Return a tensor's sizes; UnreadableModel where one is negative."""
    sizes = tuple(proto.dims)
    if any(size < 0 for size in sizes):
        msg = f"The tensor {proto.name!r} has the shape {list(sizes)}: no size can be negative."
        raise UnreadableModel(msg)
    return sizes


def _found(proto: TensorProto, size: int | None, alignment: int) -> Tensor:
    find = _place.get()
    if find is None:
        msg = f"The tensor {proto.name!r} lies in another file, and none came with the model."
        raise UnreadableModel(msg)
    return find(proto, size, alignment)
