"""Activations that files write as several operators: recognized as the one function that they are, and written.

An operator newer than a file's opset stands in it in the same primitives in which exporters write it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import torch
from torch import Tensor

from worker.network.edit import expand, without_idle
from worker.network.fuse import Fuser
from worker.network.graph import Graph, Node

_SINCE: Final = {"Gelu": 20, "Swish": 24, "Mish": 18}
"""Opset from which an activation is an operator; those not named are older than any file that is read."""
_HAS_ERF: Final = 9
_GATES: Final = {("Sigmoid",): "Swish", ("HardSigmoid",): "HardSwish", ("Tanh", "Softplus"): "Mish"}
"""What x times a function of x is: the operators from the product back to x, and the activation's name."""
_SIXTH: Final = 1e-3


def whole(graph: Graph) -> tuple[Node, ...]:
    """Return each activation that is written as several nodes, as one: Swish, Mish, HardSwish, Gelu.

    It bears the name and the outputs of the last of its parts and reads what the first of them reads.
    """
    producers, fuser = graph.producers(), Fuser(graph)
    return tuple(_whole(graph, producers, fuser))


def _whole(graph: Graph, producers: Mapping[str, Node], fuser: Fuser) -> Iterator[Node]:
    for node in graph.nodes:
        if node.op != "Mul" or len(node.inputs) != 2:  # noqa: PLR2004  a product of two
            continue
        for value, factor in (node.inputs, node.inputs[::-1]):
            op = _gate(producers, value, factor)
            if op:
                yield Node(op, (value,), node.outputs, node.name, origin=node.origin)
                break
        else:
            for made, _ in fuser.gelu(node):
                yield Node("Gelu", made.inputs, node.outputs, node.name, origin=node.origin)


def _gate(producers: Mapping[str, Node], value: str, factor: str) -> str:
    """Return what x · f(x) is called; "" where `factor` is no known function of `value`."""
    for ops, name in _GATES.items():
        read = factor
        for op in ops:
            node = producers.get(read)
            if node is None or node.op != op or not _plain(node):
                break
            read = node.inputs[0]
        else:
            if read == value:
                return name
    return ""


def _plain(node: Node) -> bool:
    """Whether a node is ONNX's own and, of a HardSigmoid, the one of slope 1/6 that HardSwish is made of."""
    slope = node.attributes.get("alpha", 0.2)
    sixth = isinstance(slope, float) and math.isclose(slope, 1 / 6, rel_tol=_SIXTH)
    return not node.domain and (node.op != "HardSigmoid" or sixth)


def writable(graph: Graph, op: str) -> bool:
    """Whether a file of the graph's opset can hold an activation, as one operator or as several."""
    return op != "Gelu" or graph.opsets.get("", 0) >= _HAS_ERF


def replaced(graph: Graph, activations: Iterable[Node]) -> Graph:
    """Return the graph with activations in the place of the nodes of their names, in operators of its own opset.

    Parts of what stood there that nothing else reads are left out.
    """
    nodes: dict[str, tuple[Node, ...]] = {}
    held = dict(graph.constants)
    for node in activations:
        nodes[node.name], numbers = _written(graph, node)
        held |= numbers
    return without_idle(expand(graph, nodes).replace(constants=held), graph)


def _written(graph: Graph, node: Node) -> tuple[tuple[Node, ...], dict[str, Tensor]]:
    """Return an activation as nodes, the last under its name, and the constants that they read."""
    if graph.opsets.get("", 0) >= _SINCE.get(node.op, 1):
        return (node,), {}
    return _erf_gelu(graph, node) if node.op == "Gelu" else (_gated(graph, node), {})


def _gated(graph: Graph, node: Node) -> tuple[Node, ...]:
    """Write x · f(x)."""
    (ops,) = (ops for ops, name in _GATES.items() if name == node.op)
    (value,), made = node.inputs, []
    read = value
    for op in reversed(ops):
        fresh = graph.fresh(f"{node.name}.{op.lower()}")
        made.append(Node(op, (read,), (fresh,), fresh, origin=node.origin))
        read = fresh
    return (*made, Node("Mul", (value, read), node.outputs, node.name, origin=node.origin))


def _erf_gelu(graph: Graph, node: Node) -> tuple[tuple[Node, ...], dict[str, Tensor]]:
    """Write x · (1 + erf(x / √2)) / 2, as torch's exporter does."""
    (value,) = node.inputs
    root, one, half, scaled, erf, more, product = (
        graph.fresh(f"{node.name}.{part}") for part in ("root", "one", "half", "scaled", "erf", "more", "product")
    )
    steps = [("Div", (value, root), scaled), ("Erf", (scaled,), erf), ("Add", (erf, one), more)]
    steps.append(("Mul", (value, more), product))
    nodes = [Node(op, inputs, (out,), out, origin=node.origin) for op, inputs, out in steps]
    last = Node("Mul", (product, half), node.outputs, node.name, origin=node.origin)
    numbers, dtype = {root: math.sqrt(2), one: 1.0, half: 0.5}, _dtype(graph)
    return (*nodes, last), {name: torch.tensor(number, dtype=dtype) for name, number in numbers.items()}


def _dtype(graph: Graph) -> torch.dtype:
    """Return the type of number that the graph computes in, that of its parameters."""
    return next((each.value.dtype for each in graph.parameters.values()), torch.float32)
