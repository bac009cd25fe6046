"""How a node that is content with one size of batch may be written so that it takes any."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from torch import Tensor

from worker.load.joining import Value, rows
from worker.network.graph import Node, names

_ALL: Final = 2**63 - 1
"""The end of a slice that takes everything."""
RECURRENT: Final = frozenset({"GRU", "LSTM", "RNN"})
"""Operators whose states must have the batch's size, though a single one could be broadcast."""
_STATES: Final = (4, 5, 6)
"""Their lengths and states."""
_MOVES: Final = frozenset({"ConstantOfShape", "Expand", "Reshape", "Resize", "Slice", "Tile"})
"""Operators of which only the first input is data."""


@dataclass(frozen=True)
class Way:
    """Nodes that may stand for one, and the tensors that they read beside what there is."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Ways:
    """A node, its inputs and what it writes for one batch."""

    node: Node
    values: Mapping[str, Value]
    shape: tuple[int, ...]
    """Of the first output, for one batch."""
    size: int
    """Of a batch."""
    count: str
    """The value that holds the size of the batch at hand."""
    mine: frozenset[str]
    """Tensors of the file that no other node reads."""

    def __iter__(self) -> Iterator[Way]:
        """Yield the node as it is, then in every way that may free it."""
        plain = Way((self.node,))
        repeated = list(self._repeated())
        yield from [*repeated, plain] if self.node.op in RECURRENT else [plain]
        yield from getattr(self, f"_{self.node.op.lower()}", tuple)()
        yield from repeated

    def _named(self, role: str) -> str:
        return f"{self.node.name}.{role}"

    def _with(self, place: int, name: str) -> Node:
        inputs = (*self.node.inputs[:place], name, *self.node.inputs[place + 1 :])
        return replace(self.node, inputs=inputs)

    def _shaped(self, place: int, shape: Sequence[int]) -> Way:
        """Return the node with another shape at an input."""
        name = self._named("shape")
        return Way((self._with(place, name),), {name: torch.tensor(list(shape), dtype=torch.int64)})

    def _reshape(self) -> Iterator[Way]:
        """One entry of the shape becomes what remains."""
        for axis, size in enumerate(self.shape):
            if size and size % self.size == 0:
                yield self._shaped(1, (*self.shape[:axis], -1, *self.shape[axis + 1 :]))

    def _expand(self) -> Iterator[Way]:
        """Axes that have their size already keep it."""
        source = self.values[self.node.inputs[0]].first.shape
        behind = (1,) * (len(self.shape) - len(source)) + tuple(source)
        yield self._shaped(
            1, [1 if size == wanted else wanted for size, wanted in zip(behind, self.shape, strict=True)]
        )

    def _resize(self) -> Iterator[Way]:
        """The first size is the batch's."""
        sizes = 3
        if len(names(self.node.inputs[sizes:])) == 1 and self.shape[0] == self.size:
            name, nodes, tensors = self._vector("sizes", self.shape, 0)
            yield Way((*nodes, self._with(sizes, name)), tensors)

    def _slice(self) -> Iterator[Way]:
        """Ends at an axis' own end are open."""
        if len(self.node.inputs) > 2 and self.node.inputs[2] in self.values:  # noqa: PLR2004  the ends
            ends = self.values[self.node.inputs[2]].first
            yield self._shaped(2, [_ALL if int(end) == self.size else int(end) for end in ends.reshape(-1)])

    def _repeated(self) -> Iterator[Way]:
        """Operands that hold the same for every sample are one sample's, repeated."""
        seen = []
        for chosen in self._operands():
            if chosen and chosen not in seen:
                seen.append(chosen)
                yield self._expanded(chosen)

    def _operands(self) -> Iterator[dict[int, int]]:
        """Yield operands, by place, with the axis that may count samples."""
        places = {
            place: self.values[name].first
            for place, name in enumerate(self.node.inputs)
            if name in self.values and self.values[name].free and self.values[name].first.dim()
        }
        places = {place: value for place, value in places.items() if self._may_repeat(place)}
        for axis in range(max((value.dim() for value in places.values()), default=0)):
            for behind in (False, True):
                chosen = {
                    place: value.dim() - 1 - axis if behind else axis
                    for place, value in places.items()
                    if axis < value.dim() and self._alike(value, value.dim() - 1 - axis if behind else axis)
                }
                yield chosen
                yield from ({place: each} for place, each in chosen.items() if len(chosen) > 1)

    def _may_repeat(self, place: int) -> bool:
        if self.node.op in RECURRENT:
            return place in _STATES
        return not place or self.node.op not in _MOVES

    def _alike(self, value: Tensor, axis: int) -> bool:
        size = value.shape[axis]
        counts = size == self.size or (self.size > 1 and size > 0 and size % self.size == 0)
        return counts and rows(value, axis)

    def _expanded(self, chosen: Mapping[int, int]) -> Way:
        node = self.node
        nodes: list[Node] = []
        tensors: dict[str, Tensor] = {}
        for place, axis in chosen.items():
            name = node.inputs[place]
            value = self.values[name].first
            one, more, held = self._one(place, axis)
            shape = [1] * value.dim()
            shape[axis] = value.shape[axis]
            vector, counting, pieces = self._vector(f"shape{place}", shape, axis)
            fresh = self._named(f"input{place}")
            nodes += [*more, *counting, Node("Expand", (one, vector), (fresh,), fresh)]
            tensors |= {**held, **pieces}
            node = replace(node, inputs=(*node.inputs[:place], fresh, *node.inputs[place + 1 :]))
        return Way((*nodes, node), tensors)

    def _one(self, place: int, axis: int) -> tuple[str, list[Node], dict[str, Tensor]]:
        """Return one sample's share of an operand: of a tensor that nobody else reads, or of what a node gives."""
        name = self.node.inputs[place]
        if name in self.mine and self.node.inputs.count(name) == 1:
            return name, [], {name: self.values[name].first.narrow(axis, 0, 1).clone()}
        fresh, index = self._named(f"one{place}"), self._named(f"first{place}")
        node = Node("Gather", (name, index), (fresh,), fresh, {"axis": axis})
        return fresh, [node], {index: torch.zeros(1, dtype=torch.int64)}

    def _vector(self, role: str, sizes: Sequence[int], axis: int) -> tuple[str, list[Node], dict[str, Tensor]]:
        """Return a vector of sizes of which one counts samples, with the nodes and tensors that make it."""
        name, times = self._named(role), sizes[axis] // self.size
        before, behind, factor = f"{name}.before", f"{name}.behind", f"{name}.times"
        tensors = {before: torch.tensor(list(sizes[:axis])), behind: torch.tensor(list(sizes[axis + 1 :]))}
        held = {key: value.to(torch.int64) for key, value in tensors.items() if value.numel()}
        nodes, count = [], self.count
        if times != 1:
            count, held[factor] = f"{name}.count", torch.tensor([times])
            nodes = [Node("Mul", (self.count, factor), (count,), count)]
        parts = [key for key in (before, count, behind) if key == count or key in held]
        return name, [*nodes, Node("Concat", tuple(parts), (name,), name, {"axis": 0})], held
