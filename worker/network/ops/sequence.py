"""Sequences of tensors, as some exporters write splits and stacks, and optionals.

A sequence is a list; an optional is what it holds, or None.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.network.ops import Body, Result, integers, op

Tensors = Sequence[Tensor]


def _one(values: Sequence[object]) -> Result:
    """Return a sequence as the only result of an operator."""
    return (list(values),)  # type: ignore[return-value]


@op("SequenceConstruct")
def construct(*values: Tensor) -> Result:
    """The inputs as a sequence."""
    return _one(values)


@op("SequenceEmpty")
def empty(*, dtype: int | None = None) -> Result:
    """A sequence of nothing."""
    return _one([])


@op("SequenceLength", gradient=False)
def length(values: Tensors) -> Tensor:
    """How many tensors there are."""
    return torch.tensor(len(values))


@op("SequenceAt")
def at(values: Tensors, position: Tensor) -> Tensor:
    """The tensor at a position; -1 is the last."""
    return values[int(position)]


@op("SequenceInsert")
def insert(values: Tensors, value: Tensor, position: Tensor | None = None) -> Result:
    """The sequence with a tensor put in at a position; at the end by default."""
    place = len(values) if position is None else int(position) % (len(values) + 1)
    place = place if position is None or int(position) >= 0 else len(values) + int(position)
    return _one([*values[:place], value, *values[place:]])


@op("SequenceErase")
def erase(values: Tensors, position: Tensor | None = None) -> Result:
    """The sequence without the tensor at a position; without the last by default."""
    place = (len(values) - 1 if position is None else int(position)) % len(values)
    return _one([*values[:place], *values[place + 1 :]])


@op("SplitToSequence")
def split(x: Tensor, sizes: Tensor | None = None, *, axis: int = 0, keepdims: int = 1) -> Result:
    """The parts of a tensor along an axis: of the sizes given, or one by one."""
    if sizes is None:
        return _one(x.split(1, axis) if keepdims else x.unbind(axis))  # type: ignore[no-untyped-call]
    return _one(torch.split(x, int(sizes) if sizes.dim() == 0 else integers(sizes), axis))


@op("ConcatFromSequence")
def concat(values: Tensors, *, axis: int, new_axis: int = 0) -> Tensor:
    """The tensors joined along an axis, or stacked along a new one."""
    return torch.stack(list(values), axis) if new_axis else torch.cat(list(values), axis)


@op("SequenceMap")
def mapped(first: Tensors, *others: Tensors | Tensor, body: Body) -> Result:
    """What a subgraph gives for each place of the sequences; tensors beside them it gets whole."""
    rows = [
        body(value, *(each[place] if isinstance(each, list) else each for each in others))
        for place, value in enumerate(first)
    ]
    return tuple(list(column) for column in zip(*rows, strict=True))  # type: ignore[misc]


@op("Optional")
def optional(value: Tensor | None = None, *, type: object = None) -> Result:  # noqa: A002  the specification's name
    """What is given, or nothing."""
    return (value,)


@op("OptionalGetElement")
def held(value: Tensor | None) -> Tensor:
    """What an optional holds; ValueError where that is nothing."""
    if value is None:
        msg = "the optional holds nothing"
        raise ValueError(msg)
    return value


@op("OptionalHasElement", gradient=False)
def holds(value: Tensor | None = None) -> Tensor:
    """Whether an optional holds anything."""
    return torch.tensor(value is not None)
