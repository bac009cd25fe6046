"""What a treatment changed: the difference between a graph and its treated copy."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from worker.network.graph import Graph, Law, Node, Parameter, reads
from worker.patch.same_law import same_law


@dataclass(frozen=True)
class Inserted:
    """Nodes between a value and everything that reads it."""

    behind: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Difference:
    """What is other in a treated copy."""

    before: Graph
    after: Graph
    exchanged: dict[str, Node]
    """By name, the nodes that have another operator or other attributes."""
    gone: frozenset[str]
    """Names of nodes that no output depends on any longer."""
    inserted: tuple[Inserted, ...]
    redrawn: frozenset[str]
    """Names of parameters that follow another law."""

    @classmethod
    def between(cls, before: Graph, after: Graph) -> "Difference":
        """Compare two graphs, the second a changed copy of the first; names tell what is what."""
        was = {node.name: node for node in before.nodes}
        other = [node for node in after.nodes if node.name in was and _exchanged(node, was[node.name])]
        left_out = {node.name for node in other if node.op == "Identity"}
        alive = live(after)
        return cls(
            before,
            after,
            {node.name: node for node in other if node.name in alive - left_out},
            (live(before) - alive) | left_out,
            tuple(_inserted(after, was.keys())),
            frozenset(_redrawn(before, after)),
        )

    def law(self, parameter: str) -> Law | None:
        """Return the law of a parameter in the treated copy."""
        return self.after.parameters[parameter].law


def live(graph: Graph) -> frozenset[str]:
    """Return the names of the nodes that an output depends on."""
    makers, waiting, found = graph.producers(), list(graph.outputs), set[str]()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting.extend(reads(node))
    return frozenset(found)


def _exchanged(node: Node, was: Node) -> bool:
    if node is was:
        return False
    return (node.op, node.domain, dict(node.attributes)) != (was.op, was.domain, dict(was.attributes))


def _inserted(after: Graph, known: Collection[str]) -> Iterator[Inserted]:
    chains: dict[str, list[Node]] = {}
    starts: dict[str, str] = {}
    for node in after.nodes:
        if node.name not in known:
            start = starts.get(node.inputs[0], node.inputs[0])
            chains.setdefault(start, []).append(node)
            starts[node.outputs[0]] = start
    for behind, nodes in chains.items():
        yield Inserted(behind, tuple(nodes))


def _redrawn(before: Graph, after: Graph) -> Iterator[str]:
    for name, was in before.parameters.items():
        if _changed(was, after.parameters[name]):
            yield name


def _changed(was: Parameter, parameter: Parameter) -> bool:
    if was is parameter:
        return False
    return parameter.law is None or was.law is None or not same_law(was.law, parameter.law)
