"""Chains of hidden weight layers: each reads what the one before made, and nothing else does."""

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

from worker.network.graph import Graph, Node, reads
from worker.network.hidden import hidden_activations
from worker.network.layers import Layer, weight_layers

Chain: TypeAlias = tuple[Layer, ...]
"""Layers in forward order, each with a hidden activation behind it."""


def chains(graph: Graph) -> tuple[Chain, ...]:
    """Return the chains of a graph, as long as they are.

    What leads from one layer to the next (norms, activations, pools, reshapes) is read by nothing else, so that
    whatever is put around a part of a chain concerns nobody else.
    """
    return tuple(_chains(graph))


def _chains(graph: Graph) -> Iterator[Chain]:
    inner = {node.name for node in hidden_activations(graph)}
    layers = {layer.after.name: layer for layer in weight_layers(graph) if layer.after and layer.after.name in inner}
    ways = _Ways(graph)
    following = {
        layer.before.name: end
        for end, layer in layers.items()
        if layer.before and layer.before.name in layers and ways.alone(layer)
    }
    led = set(following.values())
    for end in (name for name in layers if name not in led):
        chain, last = [layers[end]], end
        while last in following:
            last = following[last]
            chain.append(layers[last])
        yield tuple(chain)


class _Ways:
    """What leads from an activation through a layer to the next one."""

    def __init__(self, graph: Graph) -> None:
        """Look up who writes and who reads what."""
        self.producers = graph.producers()
        self.readers = Counter(value for node in graph.nodes for value in set(reads(node)))
        self.readers.update(graph.outputs)

    def alone(self, layer: Layer) -> bool:
        """Whether nothing else reads what a layer reads, and what it makes up to its activation."""
        if layer.before is None or layer.after is None:
            return False
        before = self._between(layer.node.inputs[0], layer.before.outputs[0])
        inside = self._between(layer.after.inputs[0], layer.node.outputs[0])
        return all(self.readers[value] == 1 for value in [*before, *inside[1:]]) and self._sole(layer.after)

    def _sole(self, activation: Node) -> bool:
        """Whether nothing but the activation reads its input, be it one node or several."""
        value = activation.inputs[0]
        return self.readers[value] <= (1 if self.producers[activation.outputs[0]].op == activation.op else 2)

    def _between(self, value: str, start: str) -> list[str]:
        """Return the values from `value` back to `start`, both included."""
        found = [value]
        while value != start and value in self.producers:
            value = next((name for name in self.producers[value].inputs if name in self.producers), "")
            found.append(value)
        return found
