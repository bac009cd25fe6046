"""Files that were written for batches of one size: exporters fix the size unless told otherwise.

Node by node it is tried whether samples are treated alone (`worker/load/joining.py`).  Where a node is not content with
another batch, what exporters fix is set free (`worker/load/freeing.py`), if that makes it treat samples alone:

- the shape of a Reshape, an Expand, a Resize, the end of a Slice;
- an operand with the same numbers for every sample, such as the initial state of a recurrent network, a class token or
  positions: one sample's share, repeated as often as there are samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import torch
from onnx import ModelProto
from torch import Tensor

from service.contract.problem import BatchMismatch, Trouble
from worker.load.freeing import Way, Ways
from worker.load.joining import Value, apart, given, held, together
from worker.network.graph import Graph, Input, Node, reads, torch_stream

LARGEST: Final = 2**24
"""Most numbers of an input that is tried."""
FREED: Final = (
    "The file fixes the size of its batch, but computes the same for others, so the sample batch is taken as it is."
)
BATCH: Final = "batch"
_HAS_EXPAND: Final = 8
"""Opset from which there is Expand."""
Shapes = Mapping[str, tuple[int, ...]]


def rebatchable(graph: Graph, wanted: Shapes | None = None) -> Graph:
    """Return the graph with a free batch axis where its inputs have one fixed size there and need not.

    `wanted` are the shapes of the sample batch: what they do not ask for stays as it is.  BatchMismatch where they ask
    for another batch and two samples influence each other; without them such a graph comes back as it is.
    """
    if not all(map(_small, graph.inputs)):
        return graph
    tried = [_asked(graph, wanted)] if wanted is not None else _guessed(graph)
    for axes in filter(None, tried):
        freeing = _Freeing(graph, axes)
        if freeing.run():
            return freeing.freed()
        if wanted is not None:
            raise BatchMismatch(_reason(graph, axes, wanted, freeing.stuck))
    return graph


def _small(each: Input) -> bool:
    sizes = [size for size in each.shape if isinstance(size, int)]
    return each.form == "tensor" and len(sizes) == len(each.shape) and torch.Size(sizes).numel() <= LARGEST


def _guessed(graph: Graph) -> list[dict[str, int]]:
    """Return which axes may count samples: every input's first, if all are equal, or that of the first input."""
    sizes = {each.name: each.shape[0] for each in graph.inputs if each.shape}
    every = dict.fromkeys(sizes, 0)
    return (
        [every, dict.fromkeys(list(sizes)[:1], 0)]
        if len(set(sizes.values())) == 1
        else [dict.fromkeys(list(sizes)[:1], 0)]
    )


def _asked(graph: Graph, wanted: Shapes) -> dict[str, int]:
    """Return the axis of each input in which the sample batch differs from the file, if those can count samples."""
    axes, sizes = {}, set()
    for each in graph.inputs:
        shape = wanted[each.name]
        differing = [axis for axis, size in enumerate(each.shape) if shape[axis : axis + 1] != (size,)]
        if len(shape) != len(each.shape) or len(differing) > 1:
            return {}
        for axis in differing:
            axes[each.name] = axis
            sizes.add((each.shape[axis], shape[axis]))
    return axes if 0 in axes.values() and len(sizes) == 1 and not any(0 in pair for pair in sizes) else {}


def _reason(graph: Graph, axes: Mapping[str, int], wanted: Shapes, stuck: Node | None) -> str:
    name = next(name for name, axis in axes.items() if not axis)
    size = next(each.shape[0] for each in graph.inputs if each.name == name)
    where = f", and the node {stuck.name!r} ({stuck.op}) does not compute the same for others" if stuck else ""
    return (
        f"{name!r} has {wanted[name][0]} samples; the file fixes its batch to {size}{where}.  Send {size}, or export "
        f"with a free first axis: torch.onnx.export(…, dynamic_axes={{{name!r}: {{0: 'batch'}}}}), or with dynamo=True "
        f"dynamic_shapes={{{name!r}: {{0: 'batch'}}}}."
    )


class _Freeing:
    """A graph on its way to a free batch."""

    def __init__(self, graph: Graph, axes: Mapping[str, int]) -> None:
        """Start from two batches of noise along the given axes of some inputs; the other inputs stay the same."""
        self._graph, self._axes = graph, axes
        tensors = {**{name: each.value for name, each in graph.parameters.items()}, **graph.constants}
        self._values = {name: held(value) for name, value in tensors.items()}
        for each in graph.inputs:
            first, second = _noise(each, 0), _noise(each, 1)
            fixed = each.name not in axes
            self._values[each.name] = held(first) if fixed else given(first, second, axes[each.name])
        self._source = next(name for name, axis in axes.items() if not axis)
        self._size = len(self._values[self._source].first)
        self._count = graph.fresh(f"{self._source}.batch")
        one = torch.tensor([self._size])
        self._values[self._count] = Value(one, one, 2 * one)
        self._nodes: list[Node] = []
        self._tensors: dict[str, Tensor] = {}
        self.stuck: Node | None = None
        """The node that is not content with another batch."""

    def run(self) -> bool:
        """Set every node free; False where one resists."""
        readers: dict[str, list[str]] = {}
        for node in self._graph.nodes:
            for name in set(reads(node)):
                readers.setdefault(name, []).append(node.name)
        for node in self._graph.nodes:
            mine = frozenset(name for name in reads(node) if len(readers[name]) == 1 and self._is_tensor(name))
            if not self._take(node, mine):
                self.stuck = node
                return False
            for name in set(reads(node)):
                if readers[name][-1] == node.name and name not in self._graph.outputs:
                    self._values.pop(name, None)
        return True

    def _is_tensor(self, name: str) -> bool:
        return name in self._graph.parameters or name in self._graph.constants

    def _take(self, node: Node, mine: frozenset[str]) -> bool:
        try:
            parts = apart(node, self._graph, self._values)
        except Trouble:
            return False
        shown = next((value.shape for value in parts[0].values() if isinstance(value, Tensor)), ())
        found = []
        for way in Ways(node, self._values, tuple(shown), self._size, self._count, mine):
            values = {**self._values, **{name: held(value) for name, value in way.tensors.items()}}
            made = together(way.nodes, self._graph, values, parts)
            if made is not None and self._allowed(way) and all(map(self._whole, made.items())):
                found.append((way, made))
                if node.op != "Reshape":
                    break
        return self._chosen(found)

    def _chosen(self, found: Sequence[tuple[Way, dict[str, Value]]]) -> bool:
        """Take the way in which samples are easiest to tell apart; False where there is none."""
        if not found:
            return False
        way, made = min(found, key=lambda each: max(value.order for value in each[1].values()))
        self._values |= made
        self._nodes += way.nodes
        self._tensors |= way.tensors
        return True

    def _whole(self, named: tuple[str, Value]) -> bool:
        """Whether a value, if it is an output, can still be told apart into samples."""
        name, value = named
        if name not in self._graph.outputs or value.axis is None:
            return True
        return value.first.dim() > 1 or len(value.first) == self._size

    def _allowed(self, way: Way) -> bool:
        return self._graph.opsets.get("", 0) >= _HAS_EXPAND or len(way.nodes) == 1

    def freed(self) -> Graph:
        """Return the graph with a free batch."""
        graph, added = self._graph, dict(self._tensors)
        nodes = self._nodes
        if any(self._count in node.inputs for node in nodes):
            first, shape = f"{self._count}.first", f"{self._count}.shape"
            added[first] = torch.zeros(1, dtype=torch.int64)
            counting = (
                Node("Shape", (self._source,), (shape,), shape),
                Node("Gather", (shape, first), (self._count,), self._count),
            )
            nodes = [*counting, *nodes]
        parameters = {
            name: replace(each, value=added.pop(name)) if name in added else each
            for name, each in graph.parameters.items()
        }
        gone = {name for node in graph.nodes for name in reads(node)} - {name for node in nodes for name in reads(node)}
        constants = {name: value for name, value in {**graph.constants, **added}.items() if name not in gone}
        return graph.replace(
            nodes=tuple(nodes),
            inputs=tuple(self._free(each) for each in graph.inputs),
            parameters=parameters,
            constants=constants,
            notes=(*graph.notes, FREED),
            header=self._header(),
        )

    def _header(self) -> ModelProto | None:
        """Return what the file says of itself, but for the sizes of the outputs."""
        if self._graph.header is None:
            return None
        said = ModelProto()
        said.CopyFrom(self._graph.header)
        for output in said.graph.output:
            value, sizes = self._values.get(output.name), output.type.tensor_type.shape.dim
            if value is not None and value.axis is not None and value.axis < len(sizes):
                sizes[value.axis].Clear()
                if value.first.shape[value.axis] == self._size:
                    sizes[value.axis].dim_param = BATCH
        return said

    def _free(self, each: Input) -> Input:
        if each.name not in self._axes:
            return each
        axis = self._axes[each.name]
        return replace(each, shape=(*each.shape[:axis], BATCH, *each.shape[axis + 1 :]))


def _noise(each: Input, seed: int) -> Tensor:
    sizes = [int(size) for size in each.shape]
    generator = torch_stream(seed, each.name)
    if each.dtype.is_floating_point:
        return torch.randn(sizes, generator=generator).to(each.dtype)
    return torch.randint(0, each.classes or 2, sizes, generator=generator).to(each.dtype)
