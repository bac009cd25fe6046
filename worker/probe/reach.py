"""What a head can give: the range of its last operator, carried through the arithmetic with constants behind it.

Interval arithmetic on the graph alone, so that it holds whatever the weights are.
"""

from math import inf
from typing import Final

from worker.head import LAYOUT, source
from worker.network.graph import Graph, Node

Range = tuple[float, float]

_RANGES: Final[dict[str, Range]] = {
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "LogSoftmax": (-inf, 0.0),
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "Erf": (-1.0, 1.0),
    "Sin": (-1.0, 1.0),
    "Cos": (-1.0, 1.0),
    "Relu": (0.0, inf),
    "ThresholdedRelu": (0.0, inf),
    "Softplus": (0.0, inf),
    "Exp": (0.0, inf),
    "Abs": (0.0, inf),
    "Sqrt": (0.0, inf),
    "Selu": (-1.7581, inf),
    "Gelu": (-0.17, inf),
    "HardSwish": (-0.375, inf),
    "Mish": (-0.3089, inf),
}
"""What an output can be after each operator."""


def reach(graph: Graph, value: str) -> Range:
    """Return the least and the most that a value can be, whatever the weights are."""
    node = source(graph, value, LAYOUT)
    if node is None:
        return -inf, inf
    if node.op in {"Add", "Sub", "Mul", "Div"}:
        return _shifted(graph, node)
    if node.op == "Clip":
        return _limits(graph, node)
    if node.op in {"Elu", "Celu"}:
        return -float(node.attributes.get("alpha", 1.0)), inf  # type: ignore[arg-type]
    return _RANGES.get(node.op, (-inf, inf))


def _shifted(graph: Graph, node: Node) -> Range:
    """Return the range of arithmetic between a value and a constant."""
    held = [graph.constants.get(name) for name in node.inputs]
    if (held[0] is None) == (held[1] is None) or (node.op == "Div" and held[1] is None):
        return -inf, inf
    known = held[0] if held[0] is not None else held[1]
    signal = node.inputs[0] if held[0] is None else node.inputs[1]
    ends = reach(graph, signal)
    if known is None or not known.numel() or ends == (-inf, inf):
        return -inf, inf
    corners = [
        _computed(node.op, end, float(constant), swapped=held[0] is not None)
        for end in ends
        for constant in (known.min(), known.max())
    ]
    return min(corners), max(corners)


def _computed(op: str, value: float, constant: float, *, swapped: bool) -> float:
    if op == "Add":
        return value + constant
    if op == "Sub":
        return constant - value if swapped else value - constant
    if constant == 0:
        return 0.0 if op == "Mul" else inf
    return value * constant if op == "Mul" else value / constant


def _limits(graph: Graph, node: Node) -> Range:
    """Return what a Clip leaves."""
    found = [node.attributes.get("min"), node.attributes.get("max")]
    for place, name in enumerate(node.inputs[1:3]):
        held = graph.constants.get(name)
        found[place] = float(held) if held is not None and held.numel() == 1 else found[place]
    low, high = (float(each) if isinstance(each, int | float) else None for each in found)
    return -inf if low is None else low, inf if high is None else high
