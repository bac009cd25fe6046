"""Quantization that is undone at once, as training sees it: values as the file says, gradients straight through.

A QuantizeLinear and the DequantizeLinear that reads it, with the same scale and zero point, only round.  Rounding has
no slope, so quantization-aware training takes the gradient as if the value were clamped to the representable range
and not rounded (Bengio, Léonard and Courville 2013; Jacob et al. 2018).  The graph keeps the file's nodes; whoever runs
it, or follows its gradients, asks for this form.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from worker.network.graph import Graph, Node
from worker.network.lowbit import wide
from worker.network.ops.quantize import OWN

DOMAINS = frozenset({"", "com.microsoft"})
SHAPED_BY = ("axis", "block_size")
"""Attributes that say which scale belongs to which number."""


def straight(graph: Graph) -> Graph:
    """Return the graph in which each DequantizeLinear of a pair also reads what was quantized; itself without pairs.

    Such a node is called StraightThrough and keeps its name; the QuantizeLinear stays before it.
    """
    exchanged = {undone.outputs[0]: _joined(done, undone) for done, undone in pairs(graph)}
    if not exchanged:
        return graph
    nodes = tuple(exchanged.get(node.outputs[0], node) if node.outputs else node for node in graph.nodes)
    return graph.replace(nodes=nodes, opsets={**graph.opsets, OWN: 1})


def pairs(graph: Graph) -> Iterator[tuple[Node, Node]]:
    """Yield each QuantizeLinear with a DequantizeLinear that undoes it; one may have several."""
    producers = graph.producers()
    for node in graph.nodes:
        before = producers.get(node.inputs[0]) if _is(node, "DequantizeLinear") else None
        if before is not None and _is(before, "QuantizeLinear") and _undoes(node, before, graph):
            yield before, node


def _is(node: Node, op: str) -> bool:
    return node.op == op and node.domain in DOMAINS


def _undoes(node: Node, before: Node, graph: Graph) -> bool:
    first, second = ([*each.inputs[1:], ""][:2] for each in (before, node))
    alike = all(before.attributes.get(name) == node.attributes.get(name) for name in SHAPED_BY)
    return alike and all(_same(one, other, graph) for one, other in zip(first, second, strict=True))


def _same(one: str, other: str, graph: Graph) -> bool:
    """Whether two values are one and the same, or equal tensors of the file."""
    if one == other:
        return True
    left, right = graph.constants.get(one), graph.constants.get(other)
    if left is None or right is None or left.dtype != right.dtype:
        return False
    return torch.equal(wide(left), wide(right))


def _joined(done: Node, undone: Node) -> Node:
    scale, zero = [*undone.inputs[1:], ""][:2]
    return replace(undone, op="StraightThrough", domain=OWN, inputs=(done.inputs[0], scale, zero, undone.inputs[0]))
