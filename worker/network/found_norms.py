"""Norms that stand in a graph, and what may be done with them: exchanged, taken out, told from others."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from worker.network.graph import Graph, Node, reads
from worker.network.norming import Norming

_BATCH: Final = "BatchNormalization"
_IMAGE: Final = 4
"""Axes of a batch of images."""
_CONVOLUTIONS: Final = frozenset({"Conv", "ConvTranspose"})
_MIXES: Final = frozenset({"Gemm", "MatMul", "Einsum", "RNN", "LSTM", "GRU", "Gather"})


def batch_norms(graph: Graph) -> Iterator[Node]:
    """Yield the batch norms that may be changed: none of a frozen part, nor any whose statistics something reads."""
    read = {name for node in graph.nodes for name in reads(node)} | set(graph.outputs)
    for node in graph.nodes:
        own = node.op == _BATCH and not node.domain and node.attributes.get("spatial", 1)
        if own and read.isdisjoint(node.outputs[1:]) and _trained(graph, node):
            yield node


def _trained(graph: Graph, norm: Node) -> bool:
    """Whether training may change a norm: its gain and bias are the graph's own, and not frozen."""
    known = all(name in graph.parameters or name in graph.constants for name in norm.inputs[1:])
    held = [graph.parameters[name] for name in norm.inputs[1:3] if name in graph.parameters]
    return known and all(each.trainable for each in held)


def maps(graph: Graph, norm: Node, rank: int) -> bool:
    """Whether what a norm reads are maps (images, or series behind a convolution), not tables or steps."""
    if rank != _IMAGE - 1:
        return rank >= _IMAGE
    makers, waiting, seen = graph.producers(), [norm.inputs[0]], set[str]()
    while waiting:
        node = makers.get(waiting.pop(0))
        if node is None or node.name in seen:
            continue
        if node.op in _CONVOLUTIONS | _MIXES:
            return node.op in _CONVOLUTIONS
        seen.add(node.name)
        waiting.extend(node.inputs)
    return False


def spliced(graph: Graph, name: str, norming: Norming) -> Graph:
    """Return the graph with the nodes of a norm, and its constants, in the place of one node."""
    nodes = [each for node in graph.nodes for each in (norming.nodes if node.name == name else (node,))]
    return graph.replace(nodes=tuple(nodes), constants={**graph.constants, **norming.constants})


def taken_out(graph: Graph, norms: Collection[Node]) -> Graph:
    """Return the graph with an identity in the place of each of these norms, and without what they alone read."""
    names = {node.name for node in norms}
    nodes = tuple(
        Node("Identity", node.inputs[:1], node.outputs[:1], node.name, origin=node.origin)
        if node.name in names
        else node
        for node in graph.nodes
    )
    return without_unread(graph.replace(nodes=nodes), [name for node in norms for name in node.inputs[1:]])


def without_unread(graph: Graph, names: Sequence[str]) -> Graph:
    """Return the graph without those of the named parameters and constants that nothing reads any longer."""
    gone = set(names) - {name for node in graph.nodes for name in reads(node)} - set(graph.outputs)
    return graph.replace(
        parameters={name: each for name, each in graph.parameters.items() if name not in gone},
        constants={name: each for name, each in graph.constants.items() if name not in gone},
    )
