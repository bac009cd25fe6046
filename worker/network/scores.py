"""Where attention compares queries with keys: the product of two signals that a softmax over positions reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from worker.network.graph import Graph, Node
from worker.network.layers import KERNELS, NORMS, PLAIN

_PRODUCTS: Final = frozenset({"MatMul", "FusedMatMul"})
_NORMING: Final = NORMS | {"LpNormalization", "MeanVarianceNormalization", "SimplifiedLayerNormalization", "Sqrt"}
_AFTER: Final = 12
"""Most operators between a product and its softmax."""


@dataclass(frozen=True)
class Operand:
    """One side of the product, traced back to where each head's features lie on an axis of their own."""

    value: str
    reader: str
    """The node that reads it on the way to the product."""
    axis: int
    """The axis of the features, counted from the last."""


@dataclass(frozen=True)
class Scores:
    """One product of queries and keys."""

    softmax: Node
    query: Operand
    key: Operand
    scale: float
    """What the product is multiplied by on its way, before and behind it."""


def scores(graph: Graph) -> Iterator[Scores]:
    """Yield the products of queries and keys that can be told, in forward order."""
    makers = graph.producers()
    mixed = _mixed(graph)
    for node in graph.nodes:
        if node.op != "Softmax" or node.outputs[0] not in mixed:
            continue
        found = _product(graph, makers, node.inputs[0])
        if found is None:
            continue
        product, scale = found
        query, by_query = _operand(graph, makers, product, 0)
        key, by_key = _operand(graph, makers, product, 1)
        if query is not None and key is not None:
            yield Scores(node, query, key, scale * by_query * by_key)


def _mixed(graph: Graph) -> set[str]:
    """Return the values that a product reads, perhaps through dropout, casts or reshapes."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op in _PRODUCTS | {"Einsum"}:
            found.update(node.inputs)
        elif node.op in PLAIN and node.outputs[0] in found:
            found.add(node.inputs[0])
    return found


def _product(graph: Graph, makers: dict[str, Node], value: str) -> tuple[Node, float] | None:
    """Return the product that scores come from, through scales, masks and casts, and what it is multiplied by."""
    scale = 1.0
    for _ in range(_AFTER):
        node = makers.get(value)
        if node is None:
            return None
        if node.op in _PRODUCTS:
            alpha = node.attributes.get("alpha", 1.0)
            signals = all(_signal(graph, makers, name) for name in node.inputs)
            return (node, scale * float(alpha) if isinstance(alpha, int | float) else scale) if signals else None
        value, factor = _before(graph, makers, node)
        scale *= factor
    return None


def _before(graph: Graph, makers: dict[str, Node], node: Node) -> tuple[str, float]:
    """Return the value that a node scales, masks or casts, and its factor; "" where it does something else."""
    if node.op in {"Mul", "Div"}:
        return _scaled(graph, node)
    if node.op in {"Add", "Sub", "Where"}:
        return next((name for name in node.inputs if _from_product(makers, name)), ""), 1.0
    return (node.inputs[0], 1.0) if node.op in PLAIN | {"Clip"} else ("", 1.0)


def _from_product(makers: dict[str, Node], value: str) -> bool:
    """Whether a value is a product, perhaps scaled, masked or reshaped."""
    waiting = [value]
    for _ in range(3 * _AFTER):
        node = makers.get(waiting.pop(0)) if waiting else None
        if node is not None and node.op in _PRODUCTS:
            return True
        if node is not None and node.op in PLAIN | {"Mul", "Div", "Add", "Sub", "Where", "Clip"}:
            waiting.extend(node.inputs)
    return False


def _scaled(graph: Graph, node: Node) -> tuple[str, float]:
    """Return what a node multiplies by a number of the file, and the number; "" where it is none."""
    for value, other in (node.inputs, node.inputs[::-1]):
        number = graph.constants.get(other)
        if isinstance(number, Tensor) and number.numel() == 1 and float(number):
            if node.op == "Mul":
                return value, float(number)
            if other == node.inputs[1]:
                return value, 1 / float(number)
    return "", 1.0


def _signal(graph: Graph, makers: dict[str, Node], value: str) -> bool:
    """Whether a value is computed from more than the file's own tensors; one step is looked back through."""
    node = makers.get(value)
    if node is None:
        return any(given.name == value for given in graph.inputs)
    return node.op not in {"Transpose", "Identity", "Cast"} or _signal(graph, makers, node.inputs[0])


def normed(graph: Graph, value: str) -> bool:
    """Whether a value comes from a norm, past whatever stands between that and the weights before it."""
    makers, waiting, seen = graph.producers(), [value], set[str]()
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in seen or node.op in KERNELS:
            continue
        if node.op in _NORMING:
            return True
        seen.add(node.name)
        waiting.extend(node.inputs)
    return False


def _operand(graph: Graph, makers: dict[str, Node], product: Node, side: int) -> tuple[Operand | None, float]:
    """Trace a side of the product back through transpositions and scales."""
    value, reader, axis, scale = product.inputs[side], product.name, -1 if side == 0 else -2, 1.0
    for _ in range(_AFTER):
        node = makers.get(value)
        if node is None or node.op not in {"Transpose", "Identity", "Mul", "Div"}:
            break
        before, factor = (node.inputs[0], 1.0) if node.op in {"Transpose", "Identity"} else _scaled(graph, node)
        if not before:
            break
        if node.op == "Transpose":
            perm = node.attributes.get("perm")
            if not isinstance(perm, tuple):
                break
            axis = int(perm[axis]) - len(perm)
        value, reader, scale = before, node.name, scale * factor
    return Operand(value, reader, axis), scale
