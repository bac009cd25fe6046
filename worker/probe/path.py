"""The path: values that carry the batch's signal to the loss, and where on it the graph can be cut.

Depth is not an index in a list.  A cut is a value that no edge of the differentiable graph jumps over (a dominator
of the loss); one sweep over the nodes finds them all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from torch import Tensor

from worker.network.graph import Attribute, Graph, Node, reads
from worker.network.straight import straight

WEIGHTED: Final = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "RNN", "LSTM", "GRU"}
    | {"FusedMatMul", "FusedMatMulActivation", "TransposeMatMul", "GemmFastGelu", "NhwcConv", "NhwcFusedConv"}
)
"""Operators that mix features by a weight."""
RECURRENT: Final = frozenset({"RNN", "LSTM", "GRU"})
LOOPS: Final = frozenset({"Scan", "Loop"})
"""Operators that run a body again and again."""
CHANNELS_SECOND: Final = frozenset(
    {
        "Conv",
        "ConvTranspose",
        "BatchNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "MaxPool",
        "AveragePool",
    }
)
"""Operators whose features lie on the axis after the batch's."""
_SHAPE_ONLY: Final = frozenset({"Shape", "Size", "ConstantOfShape", "EyeLike", "RandomNormalLike", "RandomUniformLike"})
"""Operators whose output does not depend on their input's values."""


@dataclass(frozen=True)
class Path:
    """The differentiable values between the batch and one output, in forward order."""

    graph: Graph
    values: tuple[str, ...]
    output: str

    @cached_property
    def members(self) -> frozenset[str]:
        """The values, as a set."""
        return frozenset(self.values)

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that writes each value of the graph."""
        return self.graph.producers()

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that write a value of the path, in forward order."""
        return tuple(node for node in self.graph.nodes if self.members.intersection(node.outputs))

    @cached_property
    def position(self) -> Mapping[str, int]:
        """The place of each value in forward order."""
        return {value: index for index, value in enumerate(self.values)}

    @cached_property
    def weights(self) -> Mapping[str, tuple[str, ...]]:
        """The parameters that each node of the path reads, directly or through operators off the path."""
        return {node.name: tuple(name for value in reads(node) for name in self.behind(value)) for node in self.nodes}

    @cached_property
    def depth(self) -> Mapping[str, int]:
        """Weight layers between the batch and each value, on the longest path."""
        depth = dict.fromkeys(self.values, 0)
        for node in self.nodes:
            below = max((depth[value] for value in reads(node) if value in self.members), default=0)
            for value in self.members.intersection(node.outputs):
                depth[value] = below + self.is_layer(node)
        return depth

    @cached_property
    def looked_up(self) -> frozenset[str]:
        """The values that tokens are looked up to in learnt tables, and what is made of them."""
        found: set[str] = set()
        for node in self.nodes:
            if (node.op == "Gather" and self.weights[node.name]) or found.intersection(reads(node)):
                found.update(self.members.intersection(node.outputs))
        return frozenset(found)

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that each parameter reaches, in forward order."""
        found: dict[str, dict[str, Node]] = {}
        for node in self.nodes:
            for name in self.weights[node.name]:
                found.setdefault(name, {})[node.name] = node
        return {name: tuple(nodes.values()) for name, nodes in found.items()}

    def signal(self, node: Node) -> str:
        """Return the value that a layer's weight acts on."""
        return next(value for value in reads(node) if value in self.members)

    def is_layer(self, node: Node) -> bool:
        """Whether the node mixes features of the signal by a weight, perhaps within its body."""
        mixes = node.op in WEIGHTED or (node.op in LOOPS and any(_mixes(body) for body in bodies(node)))
        return mixes and bool(self.weights[node.name])

    def layers(self) -> Iterator[tuple[Node, str]]:
        """Yield each node that mixes features by a weight, with the first value of the path that it writes."""
        for node in self.nodes:
            if self.is_layer(node):
                yield node, next(value for value in node.outputs if value in self.members)

    def cuts(self) -> tuple[str, ...]:
        """Return the values that no edge jumps over, in forward order; of several that one node writes, none.

        Edges from values before the first weight layer do not count: the batch itself may be read late (an input at
        every time step, a skip from the image) without anything bypassing what was learnt.  What tokens are looked up
        to is learnt: its edges count.
        """
        reach = dict.fromkeys(range(len(self.values)), 0)
        for node in self.nodes:
            ends = [self.position[value] for value in node.outputs if value in self.members]
            for value in reads(node):
                if value in self.members and (self.depth[value] or value in self.looked_up):
                    reach[self.position[value]] = max(reach[self.position[value]], *ends)
        written = [self.members.intersection(node.outputs) for node in self.nodes]
        together = frozenset[str]().union(*(values for values in written if len(values) > 1))
        found, furthest = [], 0
        for index, value in enumerate(self.values):
            if index >= furthest and value not in together:
                found.append(value)
            furthest = max(furthest, reach[index])
        return tuple(found)

    def layer_cuts(self) -> tuple[str, ...]:
        """Return, of the cuts, those that close a stretch with at least one weight layer; the head's own is left out.

        Between two of them lies one layer of a plain network, one block of a residual one.
        """
        chosen: list[str] = []
        before = 0
        for value in self.cuts():
            if self.depth[value] > before:
                chosen.append(value)
                before = self.depth[value]
        headless = [value for value in chosen if self.depth[value] < self.depth[self.output]]
        return tuple(headless)

    def feature_axis(self, value: str, rank: int) -> int:
        """Return the axis of `value` that counts features: the last, or the second after a convolution.

        Transposes behind the layer are followed, as around convolutions of networks with the channels last.
        """
        node, turns = self.producers.get(value), []
        while node is not None and node.op not in WEIGHTED | CHANNELS_SECOND | {"LayerNormalization"}:
            if node.op == "Transpose":
                turns.append(node.attributes.get("perm"))
            earlier = next((name for name in node.inputs if name in self.members), None)
            node = self.producers.get(earlier) if earlier else None
        axis = 1 if node is not None and node.op in CHANNELS_SECOND else -1
        for turn in reversed(turns):
            axis = _turned(axis, turn, rank)
        return min(axis, rank - 1) % rank

    def behind(self, value: str) -> tuple[str, ...]:
        """Return the parameters that `value` is made of: itself, or those behind it off the path."""
        found: dict[str, None] = {}
        seen, waiting = set[str](), [value]
        while waiting:
            name = waiting.pop()
            if name in self.graph.parameters:
                found[name] = None
            elif name not in seen and name not in self.members:
                seen.add(name)
                node = self.producers.get(name)
                waiting.extend(reversed(list(reads(node))) if node and node.op not in _SHAPE_ONLY else ())
        return tuple(found)


def bodies(node: Node) -> Iterator[Graph]:
    """Yield the graphs that a node runs."""
    return (value for value in node.attributes.values() if isinstance(value, Graph))


def _mixes(body: Graph) -> bool:
    return any(node.op in WEIGHTED or any(map(_mixes, bodies(node))) for node in body.nodes)


def _turned(axis: int, turn: Attribute | None, rank: int) -> int:
    """Return where a Transpose puts an axis, -1 where that is the last; one between reshapings puts it back."""
    if not isinstance(turn, tuple):
        return axis
    order = [each for each in turn if isinstance(each, int)]
    place = order.index(axis % len(order))
    if place == len(order) - 1:
        return -1
    return place if len(order) == rank else axis


def trace_path(graph: Graph, values: Mapping[str, Tensor], output: str) -> Path:
    """Return the path to `output`, given every value of one differentiable run."""
    graph = straight(graph)
    signal = _downstream(graph)
    carrying = {
        name for name in signal if (value := values.get(name)) is not None and getattr(value, "requires_grad", False)
    }
    needed = {output}
    order: list[str] = []
    for node in reversed(graph.nodes):
        written = [name for name in node.outputs if name in needed and name in carrying]
        if written:
            order.extend(reversed(written))
            needed.update(reads(node))
    order.extend(given.name for given in graph.inputs if given.name in needed and given.name in carrying)
    return Path(graph, tuple(reversed(order)), output)


def _downstream(graph: Graph) -> set[str]:
    """Return the values that depend on the batch's values."""
    found = {given.name for given in graph.inputs}
    for node in graph.nodes:
        if node.op not in _SHAPE_ONLY and found.intersection(reads(node)):
            found.update(name for name in node.outputs if name)
    return found
