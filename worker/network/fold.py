"""What a graph works out from constants alone, worked out beforehand: exporters spell out sizes in dozens of nodes."""

from typing import Final

import torch
from torch import Tensor

from service.contract.problem import Trouble
from worker.network.graph import Graph, Node
from worker.network.ops import find

SMALL: Final = 1024
"""Most numbers that an input of such a node may hold."""
SIZES: Final = frozenset(
    {"Add", "And", "Cast", "Ceil", "Concat", "Div", "Equal", "Floor", "Gather", "Greater", "Identity", "Less", "Max"}
    | {"Min", "Mod", "Mul", "Neg", "Not", "Or", "ReduceProd", "Reshape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose"}
    | {"Unsqueeze", "Where"}
)
"""Operators that exporters compute sizes with; none makes much of little."""
ERRORS: Final = (Trouble, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError)
"""What a node raises that does not compute: it stays, and says so when it is run."""


def folded(graph: Graph) -> Graph:
    """Return the graph without nodes that compute on small constants only; their outputs are constants instead."""
    constants = dict(graph.constants)
    nodes = []
    for node in graph.nodes:
        value = _worked_out(node, graph, constants)
        if value is None:
            nodes.append(node)
        else:
            constants[node.outputs[0]] = value
    return graph.replace(nodes=tuple(nodes), constants=constants)


def _worked_out(node: Node, graph: Graph, constants: dict[str, Tensor]) -> Tensor | None:
    """Return a node's only output where small constants decide it."""
    inputs = [constants.get(name) for name in node.inputs if name]
    known = inputs and all(value is not None and value.numel() <= SMALL for value in inputs)
    if not known or node.op not in SIZES or node.domain or len(node.outputs) != 1:
        return None
    operator = find("", node.op, graph.opsets.get("", 1))
    if operator is None or operator.contextual:
        return None
    try:
        with torch.no_grad():
            value = operator.function(*(constants[name] if name else None for name in node.inputs), **node.attributes)
    except ERRORS:
        return None
    return value if isinstance(value, Tensor) else None
