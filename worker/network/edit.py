"""Edits of a graph, each giving another graph: nodes exchanged, or inserted behind a value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from worker.network.graph import Graph, Node, reads


def exchange(graph: Graph, nodes: Mapping[str, Node]) -> Graph:
    """Return the graph with the named nodes exchanged."""
    return graph.replace(nodes=tuple(nodes.get(node.name, node) for node in graph.nodes))


def insert_behind(graph: Graph, value: str, make: Callable[[str, str], Sequence[Node]]) -> Graph:
    """Return the graph with nodes between `value` and everything that reads it.

    `make(value, fresh)` returns nodes that read `value` and whose last writes `fresh`.
    """
    fresh = graph.fresh(f"{value}.treated")
    added = tuple(make(value, fresh))
    nodes = list(added) if any(given.name == value for given in graph.inputs) else []
    for node in graph.nodes:
        nodes.append(replace(node, inputs=tuple(fresh if name == value else name for name in node.inputs)))
        if value in node.outputs:
            nodes.extend(added)
    return graph.replace(nodes=tuple(nodes))


def expand(graph: Graph, nodes: Mapping[str, Sequence[Node]]) -> Graph:
    """Return the graph with each of the named nodes exchanged for others, which stand in its place."""
    return graph.replace(nodes=tuple(made for node in graph.nodes for made in nodes.get(node.name, (node,))))


def without_idle(graph: Graph, before: Graph) -> Graph:
    """Return the graph without the nodes that something read in `before`, and that nothing reads any longer."""
    kept = set(graph.outputs)
    if graph.header is not None:
        kept.update(each.name for each in graph.header.graph.output)
    was = {value for node in before.nodes for value in reads(node)}
    now = {value for node in graph.nodes for value in reads(node)} | kept
    idle = {node.name for node in graph.nodes if was.intersection(node.outputs) and not now.intersection(node.outputs)}
    if not idle:
        return graph
    return without_idle(graph.replace(nodes=tuple(node for node in graph.nodes if node.name not in idle)), before)
