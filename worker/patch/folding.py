"""Graphs in which activations that are written as several nodes stand as one."""

from worker.network.activations import whole
from worker.network.graph import Graph, reads


def folded(graph: Graph) -> Graph:
    """Return the graph with each such activation as one node, and without the parts that nothing reads any longer."""
    made = {node.name: node for node in whole(graph)}
    if not made:
        return graph
    joined = graph.replace(nodes=tuple(made.get(node.name, node) for node in graph.nodes))
    gone = live(graph) - live(joined)
    return joined.replace(nodes=tuple(node for node in joined.nodes if node.name not in gone))


def live(graph: Graph) -> frozenset[str]:
    """Return the names of the nodes that an output depends on."""
    makers, waiting, found = graph.producers(), list(graph.outputs), set[str]()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting.extend(reads(node))
    return frozenset(found)
