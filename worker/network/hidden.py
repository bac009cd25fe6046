"""The hidden activations of a graph: those that shape what weight layers read, and nothing else."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from worker.network.graph import Graph, Node, reads
from worker.network.layers import KERNELS, NONLINEAR, NORMS, PLAIN, POOLS, Layer, weight_layers

RECURRENT: Final = frozenset({"RNN", "GRU", "LSTM"})
SQUASHING: Final = frozenset({"Sigmoid", "HardSigmoid", "Tanh", "Softsign", "Softmax"})
_ANY: Final = NONLINEAR | {"Softmax"}
_SCALES: Final = frozenset({"Mul", "Div"})


def hidden_activations(graph: Graph) -> tuple[Node, ...]:
    """Return the activations before or behind weight layers, in forward order, but neither gates nor the head's.

    A gate multiplies another signal; behind an activation of the head no further weight layer comes.  A softmax that
    stands between two weight layers by itself is one of them; that of an attention, which weighs values, is not.
    Activations that are written as several nodes come as one (see `worker.network.activations.whole`).
    """
    layers = weight_layers(graph)
    found = {layer.after.name: layer.after for layer in layers if layer.after is not None}
    found |= {node.name: node for node in _ahead(graph, layers)}
    found |= {node.name: node for node in _softmaxes(graph, {layer.output for layer in layers})}
    fed, gates = _fed(graph), _Gates(graph)
    order = {node.name: place for place, node in enumerate(graph.nodes)}
    inner = [node for node in found.values() if node.outputs[0] in fed and not gates.hold(node)]
    return tuple(sorted(inner, key=lambda node: order[node.name]))


def _ahead(graph: Graph, layers: Sequence[Layer]) -> Iterator[Node]:
    """Yield the activations that a weight layer reads, but for those behind a layer that training leaves as it is."""
    producers, trained = graph.producers(), {layer.node.name for layer in layers}
    for before in (layer.before for layer in layers if layer.before is not None):
        value = before.inputs[0]
        while (node := producers.get(value)) is not None and node.op in PLAIN | NORMS | POOLS:
            value = node.inputs[0]
        makers = [producers.get(name) for name in node.inputs] if node is not None and node.op == "Add" else [node]
        if not any(maker is not None and maker.op in KERNELS and maker.name not in trained for maker in makers):
            yield before


def piled_activations(graph: Graph) -> tuple[Node, ...]:
    """Return of each two activations in a row, with nothing between that mixes, the one that can be left out.

    That is the one that squashes, the second where both do, or of two of one kind the second; never a gate, and never
    the one that the network ends in.
    """
    producers, gates, fed = graph.producers(), _Gates(graph), _fed(graph)
    found: dict[str, Node] = {}
    for node in graph.nodes:
        before = _activation_before(producers, node, found) if node.op in _ANY else None
        if before is None:
            continue
        second = node.outputs[0] in fed and (node.op in SQUASHING or node.op == before.op)
        for each, chosen in ((node, second), (before, before.op in SQUASHING)):
            if chosen and not gates.hold(each) and (each.op != "Softmax" or _shapes_weights(graph, each)):
                found[each.name] = each
                break
    return tuple(found.values())


def _activation_before(producers: Mapping[str, Node], node: Node, without: Collection[str]) -> Node | None:
    """Return the activation that a node reads past what moves numbers about, and past those of names in `without`."""
    before = producers.get(node.inputs[0])
    while before is not None and (before.op in PLAIN or before.name in without):
        before = producers.get(before.inputs[0])
    return before if before is not None and before.op in _ANY else None


def _softmaxes(graph: Graph, outputs: Collection[str]) -> Iterator[Node]:
    """Yield the softmaxes that read a weight layer and that nothing but further weight layers read."""
    return (
        node
        for node in graph.nodes
        if node.op == "Softmax" and node.inputs[0] in outputs and _shapes_weights(graph, node)
    )


def _shapes_weights(graph: Graph, node: Node) -> bool:
    """Whether nothing but weight layers read what a node makes."""
    (value,) = node.outputs
    readers = list(graph.consumers(value))
    weighed = [
        each.op in KERNELS and each.inputs[0] == value and each.inputs[1] in graph.parameters for each in readers
    ]
    return bool(readers) and all(weighed)


def _fed(graph: Graph) -> set[str]:
    """Return the values that a weight layer, or a recurrent one, depends on."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op in KERNELS | RECURRENT or found.intersection(node.outputs):
            found.update(reads(node))
    return found


class _Gates:
    """Tells the activations of a graph that gate."""

    def __init__(self, graph: Graph) -> None:
        """Look up who reads what, and what depends on the inputs."""
        self.producers = graph.producers()
        self.readers: dict[str, list[Node]] = {}
        self.signal = {given.name for given in graph.inputs}
        for node in graph.nodes:
            for value in reads(node):
                self.readers.setdefault(value, []).append(node)
            if self.signal.intersection(reads(node)):
                self.signal.update(node.outputs)

    def hold(self, node: Node) -> bool:
        """Whether an activation's output multiplies another signal; what a squashing one multiplies is no gate."""
        waiting = [node.outputs[0]]
        while waiting:
            value = waiting.pop()
            for reader in self.readers.get(value, ()):
                if reader.op in _SCALES and self._gated(node, [name for name in reader.inputs if name != value]):
                    return True
                if reader.op in PLAIN:
                    waiting.extend(reader.outputs)
        return False

    def _gated(self, node: Node, others: Iterable[str]) -> bool:
        by = [name for name in others if name in self.signal]
        return bool(by) and (node.op in SQUASHING or not all(self._squashed(name) for name in by))

    def _squashed(self, value: str) -> bool:
        node = self.producers.get(value)
        while node is not None and node.op in PLAIN:
            node = self.producers.get(node.inputs[0])
        return node is not None and node.op in SQUASHING
