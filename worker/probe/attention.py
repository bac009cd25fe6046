"""Attention: how evenly each softmax over positions spreads its weight."""

import math
from typing import Final

import torch

from worker.probe.sweep import Sweep

MASKED: Final = -1e4
"""What masks put in place of a score, or less."""


def attention_entropy(sweep: Sweep) -> dict[str, float]:
    """Return, per softmax whose output a MatMul reads, the mean row entropy by ln of the positions it can see."""
    readers = {value for node in sweep.subject.graph.nodes if node.op == "MatMul" for value in node.inputs}
    found = {}
    for node in sweep.path.nodes:
        if node.op != "Softmax" or node.outputs[0] not in readers:
            continue
        weights = sweep.values[node.outputs[0]].detach().double()
        visible = (sweep.values[node.inputs[0]].detach() > MASKED).sum(-1).double()
        rows = visible > 1
        last = node.attributes.get("axis", -1) in {-1, weights.dim() - 1}
        if last and weights.dim() > 2 and bool(rows.any()):  # noqa: PLR2004  a classifier's head has two axes
            entropy = torch.special.entr(weights).sum(-1)
            found[node.name] = float((entropy[rows] / visible[rows].log()).mean())
    return {name: value for name, value in found.items() if math.isfinite(value)}
