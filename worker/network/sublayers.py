"""A transformer's parts: attention up to its output's weights, and the two layers of a feed-forward part."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final

from worker.network.activations import whole
from worker.network.evaluated import NOISES
from worker.network.graph import Graph, Node, reads
from worker.network.hidden import RECURRENT
from worker.network.layers import KERNELS, NONLINEAR, Layer, weight_layers
from worker.network.post_norms import Join, Sums
from worker.network.scores import scores

_FUSED: Final = frozenset({"Attention", "MultiHeadAttention", "GroupQueryAttention", "DecoderMaskedMultiHeadAttention"})
"""Attention as one operator, which reads its queries first."""
_WEIGHING: Final = KERNELS | RECURRENT | {"Einsum"}
_JOINING: Final = frozenset({"Add", "Sum", "Sub", "Concat"})
_MOVING: Final = NOISES | {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze"}


@dataclass(frozen=True)
class Sublayer:
    """A part of a transformer that no skip leads around."""

    starts: tuple[str, ...]
    """Where a skip may start, the best first: in front of the norm that the part reads through, then behind it."""
    ends: tuple[str, ...]
    """What its last layer gives, as it is and moved, the first first; a dropout behind it is its own."""
    first: Layer
    last: Layer
    attends: bool


def sublayers(graph: Graph) -> tuple[Sublayer, ...]:
    """Return the parts in forward order, none in a graph without attention.

    Each ends in trainable weights that lead on to others, and lies in no branch that is added to anything yet.
    """
    return tuple(_Finder(graph).found())


@dataclass(frozen=True)
class _Region:
    """What lies between the nearest weight layers and a layer behind them."""

    nodes: tuple[Node, ...]
    layers: tuple[Layer, ...]
    sealed: bool
    """Whether nothing but trainable layers weighs a signal in it."""


class _Finder:
    """Looks a graph's weight layers through."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = graph.producers()
        self.layers = weight_layers(graph)
        self.by_product = {layer.node.outputs[0]: layer for layer in self.layers}
        self.sums = Sums(graph)

    @cached_property
    def readers(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.graph.nodes:
            for value in set(reads(node)):
                found.setdefault(value, []).append(node)
        return found

    @cached_property
    def queries(self) -> dict[str, str]:
        """The queries of each attention, by the node that compares them with the keys."""
        found = {each.softmax.name: each.query.value for each in scores(self.graph)}
        return found | {node.name: node.inputs[0] for node in self.graph.nodes if node.op in _FUSED}

    @cached_property
    def bends(self) -> frozenset[str]:
        """What activations give."""
        made = (node for node in self.graph.nodes if node.op in NONLINEAR)
        return frozenset(node.outputs[0] for node in chain(made, whole(self.graph)))

    @cached_property
    def feeding(self) -> set[str]:
        """The values that a trainable layer depends on."""
        found: set[str] = set()
        for node in reversed(self.graph.nodes):
            if node.outputs[0] in self.by_product or found.intersection(node.outputs):
                found.update(reads(node))
        return found

    @cached_property
    def past(self) -> dict[str, set[str]]:
        """The sums that each value goes to past a branch that is made of it."""
        found: dict[str, set[str]] = defaultdict(set)
        for join in self.joins:
            found[join.skip].add(join.node.name)
        return found

    @cached_property
    def joins(self) -> tuple[Join, ...]:
        return tuple(self.sums.joins())

    @cached_property
    def skipped(self) -> set[str]:
        """The values of branches that are added to what went past them."""
        return {value for join in self.joins for value in join.within}

    def found(self) -> Iterator[Sublayer]:
        if not self.queries:
            return
        regions = {layer.node.name: self._region([layer.node.inputs[0]]) for layer in self.layers}
        firsts = {name: self._attending(region) for name, region in regions.items()}
        within = {layer.node.name for name, region in regions.items() if firsts[name] for layer in region.layers}
        ends = {name for name, first in firsts.items() if first}
        for layer in self.layers:
            name, region = layer.node.name, regions[layer.node.name]
            first = firsts[name]
            if first is None and name not in within and ends.isdisjoint(each.node.name for each in region.layers):
                first = self._feeding_forward(region)
            if first is not None and region.sealed and (made := self._part(layer, first, region, attends=name in ends)):
                yield made

    def _region(self, values: Sequence[str]) -> _Region:
        nodes: dict[str, Node] = {}
        layers: dict[str, Layer] = {}
        waiting, sealed = list(values), True
        while waiting:
            value = waiting.pop()
            node = self.makers.get(value)
            if node is None or node.name in nodes:
                continue
            if value in self.by_product:
                layers[value] = self.by_product[value]
                continue
            nodes[node.name] = node
            sealed &= not self._weighs(node)
            waiting += reads(node)
        return _Region(tuple(nodes.values()), tuple(layers.values()), sealed)

    def _weighs(self, node: Node) -> bool:
        """Whether a node multiplies by a kernel that is not free, or of which this cannot be told."""
        held = [name for name in node.inputs[1:] if name not in self.makers and name]
        return node.op in RECURRENT or (node.op in _WEIGHING | _FUSED and any(self._wide(name) for name in held))

    def _wide(self, name: str) -> bool:
        held = self.graph.parameters[name].value if name in self.graph.parameters else self.graph.constants.get(name)
        return held is not None and held.is_floating_point() and sum(size > 1 for size in held.shape) > 1

    def _attending(self, region: _Region) -> Layer | None:
        """Return the layer that makes the queries of the attention in a region; None without, or with several."""
        asked = [self.queries[node.name] for node in region.nodes if node.name in self.queries]
        found = {layer.node.inputs[0]: layer for value in asked for layer in self._region([value]).layers}
        return next(iter(found.values())) if len(found) == 1 else None

    def _feeding_forward(self, region: _Region) -> Layer | None:
        """Return a layer of the first of two with an activation between them; None where there is no one source."""
        found = {layer.node.inputs[0]: layer for layer in region.layers}
        bent = any(not self.bends.isdisjoint(node.outputs) for node in region.nodes)
        return next(iter(found.values())) if bent and len(found) == 1 else None

    def _part(self, last: Layer, first: Layer, region: _Region, *, attends: bool) -> Sublayer | None:
        ends = self._ends(last.output)
        joined = ends[-1] in self.skipped or self._added(ends[-1])
        hidden = ends[-1] in self.feeding and not {*ends} & {*self.graph.outputs}
        if (last.after is not None and not attends) or joined or not hidden:
            return None
        value, within = first.node.inputs[0], {layer.node.name for layer in region.layers}
        turned = self.makers.get(value)
        back = [end for end in ends if _undoes(self.makers[end], turned)]
        if attends and turned is not None and back:
            within |= {turned.name} if self._sole(value, within) else set()
            value, ends = turned.inputs[0], ends[ends.index(back[0]) :]
        return Sublayer(self._starts(value, within), ends, first, last, attends)

    def _added(self, value: str) -> bool:
        """Whether a value is added to, or joined with, a signal that is not made of it."""
        read = self.readers.get(value, ())
        sums = [node for node in read if node.op in _JOINING and node.name not in self.past[value]]
        return any(len(self.sums.signals(node)) > 1 for node in sums)

    def _starts(self, value: str, within: AbstractSet[str]) -> tuple[str, ...]:
        """Return where a skip may start: in front of a norm where nothing but the part reads what it gives."""
        norm = self.sums.norm(value)
        return (norm.source, value) if norm is not None and self._sole(value, within) else (value,)

    def _sole(self, value: str, within: AbstractSet[str]) -> bool:
        return all(node.name in within for node in self.readers[value])

    def _ends(self, value: str) -> tuple[str, ...]:
        """Return a value, or what a dropout leaves of it, and what it becomes where it is moved and nothing more."""
        found, following = [value], self.readers.get(value, [])
        while len(following) == 1 and following[0].op in _MOVING and following[0].inputs[0] == found[-1]:
            (node,) = following
            if node.op in NOISES:
                found.pop()
            found.append(node.outputs[0])
            following = self.readers.get(found[-1], [])
        return tuple(found)


def _undoes(node: Node, other: Node | None) -> bool:
    """Whether a node turns the axes back that another has turned."""
    if other is None or not node.op == other.op == "Transpose":
        return False
    back, there = node.attributes.get("perm"), other.attributes.get("perm")
    if not (isinstance(back, tuple) and isinstance(there, tuple)):
        return False
    return [there[int(axis)] for axis in back] == [*range(len(there))]
