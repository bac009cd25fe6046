"""Biases of the gate by which a recurrent operator keeps its state: where they start, and how to raise them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from worker.network.graph import Graph, Law, Node, Parameter
from worker.network.laws import Constant, Shifted, Stacked

_BIAS: Final = 3
"""The biases' place among a recurrent operator's inputs: [directions, 2 · gates · hidden]."""
KEEPING: Final = {"GRU": (3, 0), "LSTM": (4, 2)}
"""How many gates there are, and the place of the one that keeps the state: a GRU's update, an LSTM's forget gate."""
_NEAR: Final = 0.05
"""How far below what is wanted a bias is left alone."""


def opened(graph: Graph, wanted: Mapping[str, float]) -> tuple[Graph, dict[str, float]]:
    """Return the graph with these gates' biases raised to the means that are `wanted`, by the names of their nodes.

    Also by how much, by where the nodes come from; biases that are as high already stay.
    """
    done = dict[str, float]()
    for node in graph.nodes:
        name = keeping_bias(graph, node) if node.name in wanted else None
        missing = wanted[node.name] - kept(graph.parameters[name], node.op) if name is not None else 0.0
        if name is not None and missing > _NEAR:
            graph = _raised(graph, name, node.op, missing)
            done[node.origin or node.name] = missing
    return graph, done


def keeping_bias(graph: Graph, node: Node) -> str | None:
    """Return the name of a GRU's or LSTM's biases, if they are there and are trained."""
    name = node.inputs[_BIAS] if node.op in KEEPING and len(node.inputs) > _BIAS else ""
    held = graph.parameters.get(name)
    return name if held is not None and held.trainable else None


def kept(bias: Parameter, op: str) -> float:
    """Return the mean of what the two biases of the gate that keeps the state add up to.

    Where a law draws them gate by gate, the law's, so that every draw is raised by as much.
    """
    gates, place = KEEPING[op]
    if law := _by_gate(bias, gates):
        return sum(map(_centre, law.laws[place::gates])) / len(bias.value)
    biases = bias.value.double().reshape(len(bias.value), 2, gates, -1)[:, :, place]
    return float(biases.sum(1).mean())


def _raised(graph: Graph, name: str, op: str, by: float) -> Graph:
    """Return the graph with the first biases of that gate raised, and their law, where it draws gate by gate."""
    gates, place = KEEPING[op]
    bias = graph.parameters[name]
    value = bias.value.clone().reshape(len(bias.value), 2, gates, -1)
    value[:, 0, place] += by
    law = _by_gate(bias, gates)
    shifted = _shifted(law, range(place, len(law.laws), 2 * gates), by) if law else None
    higher = replace(bias, value=value.reshape(bias.value.shape), law=shifted)
    return graph.replace(parameters={**graph.parameters, name: higher})


def _by_gate(bias: Parameter, gates: int) -> Stacked | None:
    """Return the law that draws biases gate by gate, if one does."""
    law = bias.law
    return law if isinstance(law, Stacked) and len(law.laws) == 2 * gates * len(bias.value) else None


def _centre(law: Law) -> float:
    """Return the mean of what a law draws; those of biases are even around what they are shifted by."""
    if isinstance(law, Shifted):
        return _centre(law.law) + law.by
    return law.value if isinstance(law, Constant) else float(getattr(law, "mean", 0.0))


def _shifted(law: Stacked, places: range, by: float) -> Stacked:
    laws = list(law.laws)
    for place in places:
        drawn = laws[place]
        base, more = (drawn.law, drawn.by) if isinstance(drawn, Shifted) else (drawn, 0.0)
        laws[place] = Constant(base.shape, base.value + by) if isinstance(base, Constant) else Shifted(base, more + by)
    return replace(law, laws=tuple(laws))
