"""Tensors inside subgraphs, brought out to the graph around them, where parameters are sought."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from torch import Tensor

from worker.network.graph import Graph, Node
from worker.network.ops.generate import constant

HELD = frozenset({"value", "value_float", "value_floats", "value_int", "value_ints"})
"""The attributes of `Constant` that hold numbers."""


def hoisted(node: Node, constants: dict[str, Tensor], taken: set[str]) -> Node:
    """Return a node whose subgraphs hold no tensors: they are added to `constants`, by names that nothing else has.

    `taken` are the names of the graph around; two branches may each have a tensor of one name.
    """
    changed = {
        name: _emptied(value, constants, taken) for name, value in node.attributes.items() if isinstance(value, Graph)
    }
    return replace(node, attributes={**node.attributes, **changed}) if changed else node


def folded(nodes: Iterable[Node], constants: dict[str, Tensor]) -> Iterator[Node]:
    """Yield the nodes but `Constant`; what those hold is added to `constants`."""
    for node in nodes:
        if _holds_numbers(node):
            constants[node.outputs[0]] = constant(**node.attributes)  # type: ignore[arg-type]
        else:
            yield node


def _holds_numbers(node: Node) -> bool:
    """Whether a node is a `Constant`, and not of text."""
    if node.op != "Constant" or node.domain or not set(node.attributes) <= HELD:
        return False
    return "value" not in node.attributes or isinstance(node.attributes["value"], Tensor)


def _emptied(graph: Graph, constants: dict[str, Tensor], taken: set[str]) -> Graph:
    held = dict(graph.constants)
    nodes = tuple(folded([hoisted(node, constants, taken) for node in graph.nodes], held))
    other = {name: _free(name, taken) for name in held}
    constants.update((other[name], value) for name, value in held.items())
    return _reading(graph.replace(nodes=nodes, constants={}), {old: new for old, new in other.items() if old != new})


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    free = name
    while free in taken:
        free = f"{free}_{len(taken)}"
    taken.add(free)
    return free


def _reading(graph: Graph, other: Mapping[str, str]) -> Graph:
    """Return a graph that reads values by other names."""
    if not other:
        return graph
    nodes = tuple(_node_reading(node, other) for node in graph.nodes)
    return graph.replace(nodes=nodes, outputs=tuple(other.get(name, name) for name in graph.outputs))


def _node_reading(node: Node, other: Mapping[str, str]) -> Node:
    inner = {name: _reading(value, other) for name, value in node.attributes.items() if isinstance(value, Graph)}
    inputs = tuple(other.get(name, name) for name in node.inputs)
    return replace(node, inputs=inputs, attributes={**node.attributes, **inner} if inner else node.attributes)
