"""Whether a node treats the samples of a batch alone: two batches give together what each gives by itself.

Each node is tried on noise.  What it gives for two batches joined must be what it gives for each, joined in the same
way: along one axis, of which the batch may be a part (torch's attention merges batch and heads).  What depends on no
input is the same for all; what counts the batch (a shape) is computed from joined values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

import torch
from torch import Tensor

from service.contract.problem import Trouble
from worker.network.graph import Graph, Input, Node, names, reads
from worker.network.run import Program

SAME: Final = 1e-4
"""Largest relative difference between samples computed together and apart: another blocking of the same sums."""


@dataclass(frozen=True)
class Value:
    """A value for two batches, each by itself and both joined."""

    first: Tensor
    second: Tensor
    joined: Tensor
    axis: int | None = None
    """The axis along which it is joined; None where it depends on no sample."""
    outer: int = 1
    """How many entries of that axis the batch repeats within: 1 where samples follow each other."""

    @property
    def order(self) -> tuple[bool, int, int]:
        """How far samples are from following each other along an axis of their own; the least is best.

        The last axis is the worst: it mostly holds features, which the next product sums over.
        """
        if self.axis is None:
            return False, 0, 0
        return self.axis == self.first.dim() - 1, self.outer, self.first.shape[self.axis]

    @property
    def free(self) -> bool:
        """Whether it is the same for every batch."""
        return self.axis is None and self.joined.shape == self.first.shape


def held(value: Tensor) -> Value:
    """Return a tensor of the file."""
    return Value(value, value, value)


def given(first: Tensor, second: Tensor, axis: int) -> Value:
    """Return an input."""
    return Value(first, second, torch.cat([first, second], axis), axis)


def alone(nodes: Sequence[Node], graph: Graph, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what the last of some nodes writes; Trouble where they do not compute."""
    part = graph.replace(
        nodes=tuple(nodes),
        inputs=tuple(Input(name, value.dtype, tuple(value.shape)) for name, value in values.items()),
        outputs=names(nodes[-1].outputs),
        parameters={},
        constants={},
    )
    with torch.no_grad():
        return Program(part).run(values)


def apart(node: Node, graph: Graph, values: Mapping[str, Value]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return what a node writes for each of the two batches."""
    read = {name: values[name] for name in reads(node) if name in values}
    first = alone([node], graph, {name: value.first for name, value in read.items()})
    moved = any(value.first is not value.second for value in read.values())
    return first, alone([node], graph, {name: value.second for name, value in read.items()}) if moved else first


def together(
    nodes: Sequence[Node], graph: Graph, values: Mapping[str, Value], parts: tuple[dict[str, Tensor], dict[str, Tensor]]
) -> dict[str, Value] | None:
    """Return what nodes write for both batches joined; None where that is not the parts joined."""
    read = {name: values[name].joined for node in nodes for name in reads(node) if name in values}
    counts = all(values[name].axis is None for name in read) or nodes[-1].op in {"Shape", "Size"}
    try:
        whole = alone(nodes, graph, read)
    except Trouble:
        return None
    found = {name: _value(parts[0][name], parts[1][name], joined, counts=counts) for name, joined in whole.items()}
    return {name: value for name, value in found.items() if value} if all(found.values()) else None


def _value(first: Tensor, second: Tensor, joined: Tensor, *, counts: bool) -> Value | None:
    if not all(isinstance(each, Tensor) for each in (first, second, joined)):
        return None
    if joined.shape == first.shape:
        same = _same(first, second) and (counts or _same(first, joined))
        return Value(first, second, joined) if same else None
    for axis, outer, whole in _joins(first, second, joined):
        if _same(whole, joined):
            return Value(first, second, whole, axis, outer)
    return None


def _joins(first: Tensor, second: Tensor, joined: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Yield two parts joined in each way that has the shape of `joined`, with the axis and what is outside of it."""
    if first.shape != second.shape or first.dim() != joined.dim():
        return
    grown = [axis for axis, (one, both) in enumerate(zip(first.shape, joined.shape, strict=True)) if one != both]
    if len(grown) != 1 or joined.shape[grown[0]] != 2 * first.shape[grown[0]]:
        return
    axis, size = grown[0], first.shape[grown[0]]
    for outer in (each for each in range(1, size + 1) if size % each == 0):
        shape = (*first.shape[:axis], outer, size // outer, *first.shape[axis + 1 :])
        parts = [each.reshape(shape) for each in (first, second)]
        yield axis, outer, torch.cat(parts, axis + 1).flatten(axis, axis + 1)


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    if torch.equal(one, other):
        return True
    if not (one.is_floating_point() and one.numel()):
        return False
    finite = one[one.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return bool(torch.allclose(one.double(), other.double(), 0, SAME * scale, equal_nan=True))


def rows(value: Tensor, axis: int) -> bool:
    """Whether a tensor holds the same all along an axis."""
    return bool(value.dim() > axis and value.shape[axis] and prod(value.shape)) and torch.equal(
        value.narrow(axis, 0, 1).expand_as(value).nan_to_num(), value.nan_to_num()
    )
