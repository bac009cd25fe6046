"""Residual sums, and the norms that stand behind them: as one operator, or spelt out by older exporters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from worker.network.graph import Graph, Node, reads

_NORMS: Final = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
_SUMS: Final = frozenset({"Add", "Sum"})


@dataclass(frozen=True)
class Join:
    """A sum of a skip and a branch."""

    node: Node
    skip: str
    branch: str
    within: frozenset[str]
    """The values of the branch, its own included."""


@dataclass(frozen=True)
class Normed:
    """What a norm normalizes, and its gain if it has one of its own."""

    source: str
    gain: str | None
    node: Node
    """The norm, or the node that writes the output of one spelt out."""


@dataclass(frozen=True)
class Sums:
    """The residual sums of a graph."""

    graph: Graph

    @cached_property
    def makers(self) -> Mapping[str, Node]:
        """The node that writes each value."""
        return self.graph.producers()

    @cached_property
    def position(self) -> Mapping[str, int]:
        """The place of each value in forward order; inputs are before all."""
        return {name: index for index, node in enumerate(self.graph.nodes) for name in node.outputs}

    @cached_property
    def given(self) -> frozenset[str]:
        """The network's own inputs."""
        return frozenset(each.name for each in self.graph.inputs)

    def signals(self, node: Node) -> list[str]:
        """Return what a node reads of what is made or given, and does not just lie in the file."""
        return [name for name in node.inputs if name in self.makers or name in self.given]

    def joins(self) -> Iterator[Join]:
        """Yield the sums of two values of which one is made of the other, in forward order."""
        for node in self.graph.nodes:
            ends = self.signals(node)
            if node.op not in _SUMS or len(node.inputs) != 2 or len(set(ends)) != 2:  # noqa: PLR2004  skip and branch
                continue
            skip, branch = sorted(ends, key=lambda name: self.position.get(name, -1))
            within = self._behind(branch, skip)
            if skip in within:
                yield Join(node, skip, branch, frozenset(within - {skip}))

    def norm(self, value: str) -> Normed | None:
        """Return the norm that writes a value; None where something else does."""
        node = self.makers.get(value)
        if node is None:
            return None
        if node.op in _NORMS:
            return Normed(node.inputs[0], self._parameter(node.inputs[1:2]), node)
        last, gain = node, None
        for op in ("Add", "Mul"):
            held = self._parameter(node.inputs)
            if node.op == op and held is not None:
                gain = held
                node = self.makers.get(next(name for name in node.inputs if name != held))
                if node is None:
                    return None
        source = self._standardized(node)
        return None if source is None else Normed(source, gain, last)

    def _standardized(self, node: Node) -> str | None:
        """Return what a node standardizes: by one operator, or as (x - mean) by the root of the variance."""
        if node.op == "MeanVarianceNormalization":
            return node.inputs[0]
        centred = self.makers.get(node.inputs[0]) if node.op == "Div" else None
        if centred is None or centred.op != "Sub":
            return None
        mean, root = self.makers.get(centred.inputs[1]), self.makers.get(node.inputs[1])
        told = mean is not None and mean.op == "ReduceMean" and mean.inputs[0] == centred.inputs[0]
        return centred.inputs[0] if told and root is not None and root.op == "Sqrt" else None

    def _parameter(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in self.graph.parameters), None)

    def _behind(self, value: str, stop: str) -> set[str]:
        """Return the values that one is made of, back to the place of another."""
        floor = self.position.get(stop, -1)
        found, waiting = {value}, [value]
        while waiting:
            node = self.makers.get(waiting.pop())
            for name in reads(node) if node is not None else ():
                known = name in self.position or name == stop
                if known and name not in found and self.position.get(name, -1) >= floor:
                    found.add(name)
                    waiting += [name] * (name != stop)
        return found
