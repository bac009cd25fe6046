"""The residual branches of a graph: what is added to a signal that went past it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from worker.network.graph import Graph, Node, reads
from worker.network.layers import NORMS, PLAIN, Layer, weight_layers

_TWO: Final = 2
_SUMS: Final = frozenset({"Add", "Sum"})


@dataclass(frozen=True)
class Branch:
    """A residual branch."""

    join: Node
    """The sum."""
    layers: tuple[Layer, ...]
    """Its weight layers, in forward order; one at least."""
    normed: bool
    """Whether a norm stands in it."""
    last: Layer | None
    """The weight layer that gives its end, moved and scaled at most."""
    norm: Node | None
    """The norm that gives its end; None where its last layer, or something else, does."""


def branches(graph: Graph) -> tuple[Branch, ...]:
    """Return the residual branches with weights, in forward order.

    The signal went past unchanged, from the network's own input perhaps, or through one weight layer where the branch
    has more (the projection of a block that changes width).
    """
    return tuple(_Finder(graph).found())


class _Finder:
    """Looks a graph's sums through."""

    def __init__(self, graph: Graph) -> None:
        """Note who writes each value, and where."""
        self.graph = graph
        self.producers = graph.producers()
        self.place = {node.name: index for index, node in enumerate(graph.nodes)}
        self.layers = {layer.node.name: layer for layer in weight_layers(graph)}
        self.by_output = {layer.output: layer for layer in self.layers.values()}
        self.fed = {given.name for given in graph.inputs}

    def found(self) -> Iterator[Branch]:
        """Yield the branches."""
        for node in self.graph.nodes:
            if node.op in _SUMS and len(set(node.inputs)) == len(node.inputs) == _TWO:
                one, other = node.inputs
                for skip, end in ((one, other), (other, one)):
                    branch = self._branch(node, skip, end)
                    if branch is not None:
                        yield branch
                        break

    def _branch(self, join: Node, skip: str, end: str) -> Branch | None:
        if skip not in self.producers and skip not in self.fed:
            return None
        behind = self._behind(end, skip)
        inner = behind if skip in behind else self._beside(self._behind(end, ""), skip)
        layers = tuple(layer for layer in self.layers.values() if layer.node.outputs[0] in inner)
        if not layers:
            return None
        normed = any(self.producers[value].op in NORMS for value in inner if value in self.producers)
        last, norm = self._end(end)
        return Branch(join, layers, normed, last if last in layers else None, norm)

    def _beside(self, behind: Mapping[str, None], skip: str) -> Mapping[str, None]:
        """Return what of a branch is not behind a skip of exactly one weight layer; nothing where it is no such."""
        past = self._behind(skip, "")
        own, others = (
            [value for value in one if value not in other] for one, other in ((behind, past), (past, behind))
        )
        meet = any(value in past for value in behind if value in self.producers or value in self.fed)
        projected = sum(layer.node.outputs[0] in set(others) for layer in self.layers.values())
        many = sum(layer.node.outputs[0] in set(own) for layer in self.layers.values())
        return dict.fromkeys(own) if meet and projected == 1 and many >= _TWO else {}

    def _behind(self, value: str, stop: str) -> dict[str, None]:
        """Return the values that one is made of, back to the place of another."""
        floor = self.place[self.producers[stop].name] if stop in self.producers else -1
        found, waiting = {value: None}, [value]
        while waiting:
            node = self.producers.get(waiting.pop())
            if node is None or self.place[node.name] < floor:
                continue
            new = [name for name in reads(node) if name not in found]
            found |= dict.fromkeys(new)
            waiting += [name for name in new if name != stop]
        return found

    def _end(self, value: str) -> tuple[Layer | None, Node | None]:
        """Return the weight layer, or the norm, that gives a value, moved and scaled at most."""
        while value not in self.by_output and (node := self.producers.get(value)) is not None:
            if node.op in NORMS:
                return None, node
            signals = [name for name in node.inputs if name in self.producers or name in self.fed]
            scaled = node.op == "Mul" or (node.op == "Div" and node.inputs[0] in signals)
            if node.op not in PLAIN and not (scaled and len(signals) == 1):
                return None, None
            value = node.inputs[0] if node.op in PLAIN else signals[0]
        return self.by_output.get(value), None
