"""Attention: how evenly each softmax over positions spreads its weight."""

import math
from typing import Final

import torch

from worker.network.graph import Graph
from worker.network.layers import PLAIN
from worker.probe.sweep import Sweep

MASKED: Final = -1e4
"""What masks put in place of a score, or less."""


def attention_entropy(sweep: Sweep) -> dict[str, float]:
    """Return, per softmax whose output a product reads, the mean row entropy by ln of the positions it can see."""
    mixed = _mixed(sweep.subject.graph)
    found = {}
    for node in sweep.path.nodes:
        if node.op != "Softmax" or node.outputs[0] not in mixed:
            continue
        weights = sweep.values[node.outputs[0]].detach().double()
        visible = (sweep.values[node.inputs[0]].detach() > MASKED).sum(-1).double()
        rows = visible > 1
        last = node.attributes.get("axis", -1) in {-1, weights.dim() - 1}
        if last and weights.dim() > 2 and bool(rows.any()):  # noqa: PLR2004  a classifier's head has two axes
            entropy = torch.special.entr(weights).sum(-1)
            found[node.name] = float((entropy[rows] / visible[rows].log()).mean())
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _mixed(graph: Graph) -> set[str]:
    """Return the values that a product reads, perhaps through dropout, casts or reshapes."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op in {"MatMul", "Einsum", "FusedMatMul"}:
            found.update(node.inputs)
        elif node.op in PLAIN and node.outputs[0] in found:
            found.add(node.inputs[0])
    return found
