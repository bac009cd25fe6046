"""Fronts: where the path is cut, by one tensor that no edge jumps over or by all that are alive at once.

Single tensors stand where there are enough of them: one for each layer of a plain network, one for each block of a
residual one.  Where they lie far apart (U-Net, DenseNet, an encoder's memory), the layers between are parted by depth:
the front at depth d is every value of at most d weight layers that a deeper one still reads.  Edges only lead deeper,
so everything before reaches the loss through it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Graph, Node, reads
from worker.probe.path import Path
from worker.probe.recurrence import Recurrence, unrolled
from worker.probe.sweep import Sweep, sweep

BLOCK: Final = 6
"""Most weight layers between two single tensors: a transformer's decoder block has as many."""
FEWEST: Final = 6
"""Segments that show a trend; where single tensors make fewer, every layer is looked at."""
MOST: Final = 24
"""Most fronts between two single tensors; of more layers, every second or third has one."""
_RESHAPES: Final = 5
"""First opset whose Reshape reads its shape from an input."""


@dataclass(frozen=True)
class Front:
    """Values that together carry everything before them to the loss."""

    depth: int
    values: tuple[str, ...]
    newest: str
    """The value of this depth that is computed last."""


def fronts(path: Path) -> tuple[Front, ...]:
    """Return the fronts between the first weight layer and the head, in forward order; steps of time have none."""
    recurrences = unrolled(path)
    spans = [_span(path, each) for each in recurrences]
    singles = [
        Front(path.depth[value], (value,), value)
        for value in path.layer_cuts()
        if _outside(path.depth[value], spans) and not any(each.begins(path, value) for each in recurrences)
    ]
    bound = BLOCK if len(singles) > FEWEST else 1
    marks = [0, *(front.depth for front in singles), path.depth.get(path.output, 0)]
    apart = [
        _alive(path, depth)
        for index, (low, high) in enumerate(pairwise(marks))
        if high - low > bound + (index in {0, len(singles)})
        for depth in range(low + 1, high, 1 + (high - low) // MOST)
        if _outside(depth, spans)
    ]
    found = sorted([*singles, *(front for front in apart if front.values)], key=lambda front: front.depth)
    return tuple(found)


def parted(run: Sweep, found: Sequence[Front]) -> list[list[Tensor]]:
    """Return the tensors of each front, none of which is made of another of the same front.

    A tensor that stays alive over several fronts has a copy at each, which costs one forward pass more; where every
    front is a single tensor, the run's own are returned.
    """
    if all(len(front.values) == 1 for front in found):
        return [[run.values[front.newest]] for front in found]
    copies = _copies(found)
    graph = _with_copies(run, copies)
    again = sweep(run.subject.replace(graph=graph))
    return [[again.values[copies.get(value, {}).get(front.depth, value)] for value in front.values] for front in found]


def between(path: Path, start: Front, end: Front) -> tuple[str, ...]:
    """Return the values after one front up to the next; where skips pass, those that the newest ones stand for."""
    return path.values[path.position[start.newest] + 1 : path.position[end.newest] + 1]


def _span(path: Path, recurrence: Recurrence) -> tuple[int, int]:
    """Return the depths between which a recurrence stands that was unrolled."""
    return path.depth[path.signal(recurrence.steps[0])], _depth(path, recurrence.steps[-1])


def _outside(depth: int, spans: Sequence[tuple[int, int]]) -> bool:
    return not any(low < depth < high for low, high in spans)


def _alive(path: Path, depth: int) -> Front:
    """Return the values of at most this depth that a deeper one reads; the batch itself is left out."""
    alive: dict[str, None] = {}
    for node in path.nodes:
        if _depth(path, node) > depth:
            alive |= dict.fromkeys(
                value for value in reads(node) if _learnt(path, value) and path.depth[value] <= depth
            )
    values = tuple(sorted(alive, key=path.position.__getitem__))
    newest = [value for value in values if path.depth[value] == depth]
    return Front(depth, values, newest[-1] if newest else (values or ("",))[-1])


def _learnt(path: Path, value: str) -> bool:
    return value in path.members and (path.depth[value] > 0 or value in path.looked_up)


def _depth(path: Path, node: Node) -> int:
    return max(path.depth[value] for value in node.outputs if value in path.members)


def _copies(found: Sequence[Front]) -> dict[str, dict[int, str]]:
    """Return the name of the copy of each value at the depth of each front that has several."""
    copies: dict[str, dict[int, str]] = {}
    for front in found:
        if len(front.values) > 1:
            for value in front.values:
                copies.setdefault(value, {})[front.depth] = f"{value}@{front.depth}"
    return copies


def _with_copies(run: Sweep, copies: Mapping[str, Mapping[int, str]]) -> Graph:
    """Return the graph in which whatever lies deeper than a front reads the copies made there."""
    path, graph = run.path, run.path.graph
    sizes = {value: (0,) * run.values[value].dim() for value in copies}
    nodes: list[Node] = []
    for node in graph.nodes:
        depth = _depth(path, node) if path.members.intersection(node.outputs) else 0
        nodes.append(_renamed(node, {value: name for value in copies if (name := _latest(copies[value], depth))}))
        for value in copies.keys() & set(node.outputs):
            nodes.extend(_chain(value, copies[value], sizes[value], new=graph.opsets.get("", 0) >= _RESHAPES))
    shapes = {_shape(value): torch.tensor(size, dtype=torch.int64) for value, size in sizes.items()}
    return graph.replace(nodes=tuple(nodes), constants={**graph.constants, **shapes})


def _chain(value: str, copies: Mapping[int, str], sizes: tuple[int, ...], *, new: bool) -> Iterator[Node]:
    """Yield the nodes that copy a value again and again: reshapes into the shape that it has."""
    before = value
    for copy in copies.values():
        reads_shape = Node("Reshape", (before, _shape(value)), (copy,), copy)
        yield reads_shape if new else Node("Reshape", (before,), (copy,), copy, {"shape": sizes})
        before = copy


def _shape(value: str) -> str:
    return f"{value}@shape"


def _latest(copies: Mapping[int, str], depth: int) -> str | None:
    """Return the copy of the deepest front that lies before a node of this depth."""
    return next((copies[mark] for mark in sorted(copies, reverse=True) if mark < depth), None)


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    """Return the node reading other values, those within its bodies included."""
    if not names.keys() & set(reads(node)):
        return node
    attributes = {
        key: _body(value, names) if isinstance(value, Graph) else value for key, value in node.attributes.items()
    }
    return replace(node, inputs=tuple(names.get(value, value) for value in node.inputs), attributes=attributes)


def _body(body: Graph, names: Mapping[str, str]) -> Graph:
    return body.replace(
        nodes=tuple(_renamed(node, names) for node in body.nodes),
        outputs=tuple(names.get(value, value) for value in body.outputs),
    )
