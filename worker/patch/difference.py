"""What a treatment changed: the difference between a graph and its treated copy."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch

from worker.network.graph import Graph, Law, Node, Parameter
from worker.patch.folding import folded, live
from worker.patch.same_law import same_law

_JOINS: Final = frozenset({"Add", "Sum"})


@dataclass(frozen=True)
class Inserted:
    """Nodes between a value and everything that reads it."""

    behind: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Joined:
    """A sum put between a value and everything that reads it, with a value from before."""

    behind: str
    past: str
    """What is added: the value that went past the layers between."""
    node: Node


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
    joined: tuple[Joined, ...]
    redrawn: frozenset[str]
    """Names of parameters that follow another law."""
    penalized: frozenset[str]
    """Names of parameters that add something else to the loss."""
    shared: tuple[str, ...] = ()
    """Names of parameters in place of which another is read."""

    @classmethod
    def between(cls, before: Graph, after: Graph) -> "Difference":
        """Compare two graphs, the second a changed copy of the first; names tell what is what."""
        before, after = folded(before), folded(_called_as_before(before, after))
        was = {node.name: node for node in before.nodes}
        other = [node for node in after.nodes if node.name in was and _exchanged(node, was[node.name])]
        other += [node for node in after.nodes if node.name in was and _milder(before, after, was[node.name], node)]
        left_out = {node.name for node in other if node.op == "Identity"}
        alive = live(after)
        joined = tuple(_joined(before, after))
        return cls(
            before,
            after,
            {node.name: node for node in other if node.name in alive - left_out},
            (live(before) - alive) | left_out,
            tuple(_inserted(after, alive - was.keys() - {each.node.name for each in joined})),
            joined,
            frozenset(_changed(before, after, _drawn_otherwise)),
            frozenset(_changed(before, after, lambda was, now: was.penalty != now.penalty)),
            tuple(_shared(before, after)),
        )

    def law(self, parameter: str) -> Law | None:
        """Return the law of a parameter in the treated copy."""
        return self.after.parameters[parameter].law


def without_joins(before: Graph, after: Graph) -> Graph:
    """Return a treated copy as it is without the sums that were put in."""
    joins = {each.node.name: each for each in _joined(before, after)}
    instead = {each.node.outputs[0]: each.behind for each in joins.values()}
    if not joins:
        return after

    def passed(value: str) -> str:
        while value in instead:
            value = instead[value]
        return value

    nodes = (node for node in after.nodes if node.name not in joins)
    kept = tuple(replace(node, inputs=tuple(map(passed, node.inputs))) for node in nodes)
    return after.replace(nodes=kept, outputs=tuple(map(passed, after.outputs)))


def _exchanged(node: Node, was: Node) -> bool:
    if node is was:
        return False
    return (node.op, node.domain, dict(node.attributes)) != (was.op, was.domain, dict(was.attributes))


def _milder(before: Graph, after: Graph, was: Node, node: Node) -> bool:
    """Whether a dropout drops another share, which it reads."""
    if (was.op, node.op, len(was.inputs), len(node.inputs)) != ("Dropout", "Dropout", *[max(2, len(was.inputs))] * 2):
        return False
    then, now = before.constants.get(was.inputs[1]), after.constants.get(node.inputs[1])
    return then is not None and now is not None and not torch.equal(then, now)


def _shared(before: Graph, after: Graph) -> Iterator[str]:
    """Yield the parameters in whose place a node reads another one, which was there before."""
    was = {node.name: node for node in before.nodes}
    for node in after.nodes:
        for then, now in zip(was[node.name].inputs, node.inputs, strict=False) if node.name in was else ():
            if then != now and {then, now} <= before.parameters.keys():
                yield then


def _signals(graph: Graph, node: Node) -> list[str]:
    """Return what a node reads that depends on the inputs, or may."""
    return [name for name in node.inputs if name and name not in graph.parameters and name not in graph.constants]


def _called_as_before(before: Graph, after: Graph) -> Graph:
    """Return a treated copy in which nodes that stayed write what they wrote, though others may have taken its name.

    Nodes put behind an output take its name, so that whoever runs the model finds it.
    """
    was = {node.name: node.outputs for node in before.nodes}
    pairs = [pair for node in after.nodes for pair in zip(node.outputs, was.get(node.name, ()), strict=False)]
    back = {now: old for now, old in pairs if now != old}
    called = {**{old: after.fresh(f"{old}.behind") for old in back.values()}, **back}
    nodes = tuple(
        replace(
            node,
            inputs=tuple(called.get(name, name) for name in node.inputs),
            outputs=tuple(called.get(name, name) for name in node.outputs),
        )
        if called
        else node
        for node in after.nodes
    )
    return after.replace(nodes=nodes, outputs=tuple(called.get(name, name) for name in after.outputs))


def _inserted(after: Graph, fresh: Collection[str]) -> Iterator[Inserted]:
    chains: dict[str, list[Node]] = {}
    starts: dict[str, str] = {}
    for node in after.nodes:
        if node.name in fresh:
            first = (_signals(after, node) or [node.inputs[0]])[0]
            start = starts.get(first, first)
            chains.setdefault(start, []).append(node)
            starts |= dict.fromkeys(node.outputs, start)
    for behind, nodes in chains.items():
        yield Inserted(behind, tuple(nodes))


def _joined(before: Graph, after: Graph) -> Iterator[Joined]:
    """Yield the sums of two signals that are new, of which one was read where the sum is."""
    was = {node.name: node for node in before.nodes}
    instead = _rewired(was, before, after)
    made = after.producers()
    for node in after.nodes:
        signals = _signals(after, node)
        if node.name in was or node.op not in _JOINS or len(signals) != 2:  # noqa: PLR2004  a sum of two
            continue
        read = instead.get(node.outputs[0], "")
        behind = next((each for each in signals if each == read or _leads(made, was, each, read)), "")
        if behind:
            (past,) = [each for each in signals if each != behind] or [behind]
            yield Joined(behind, past, node)


def _rewired(was: Mapping[str, Node], before: Graph, after: Graph) -> dict[str, str]:
    """Return, for values that nodes read now, what they read before."""
    found: dict[str, str] = {}
    for node in after.nodes:
        if node.name in was:
            found |= {now: then for then, now in zip(was[node.name].inputs, node.inputs, strict=False) if now != then}
    return found | {now: then for then, now in zip(before.outputs, after.outputs, strict=False) if now != then}


def _leads(made: Mapping[str, Node], was: Mapping[str, Node], value: str, back: str) -> bool:
    """Whether new nodes alone lead from one value back to another."""
    while value in made and made[value].name not in was and made[value].inputs:
        value = made[value].inputs[0]
    return value == back


def _changed(before: Graph, after: Graph, differs: Callable[[Parameter, Parameter], bool]) -> Iterator[str]:
    for name, was in before.parameters.items():
        parameter = after.parameters.get(name, was)
        if was is not parameter and differs(was, parameter):
            yield name


def _drawn_otherwise(was: Parameter, parameter: Parameter) -> bool:
    if was.law is None and parameter.law is None:
        return not torch.equal(was.value, parameter.value)
    return parameter.law is None or was.law is None or not same_law(was.law, parameter.law)
