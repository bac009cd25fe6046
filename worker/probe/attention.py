"""Attention: how evenly each softmax over positions spreads its weight, and how large its scores are.

Entropy: H = −Σ w ln w by ln of the positions in sight, averaged over samples and rows; per head, and their mean.
Logit: the largest |score| that no mask has put there.  Both have no unit (shares of ln T; scores as they are), and cost
no pass.  Sources: Zhai et al. 2023 (arXiv 2303.06296), Wortsman et al. 2023 (arXiv 2309.14322).
"""

import math
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Graph
from worker.network.layers import PLAIN
from worker.probe.evidence import AttentionEvidence
from worker.probe.sweep import Sweep

MASKED: Final = -1e4
"""What masks put in place of a score, or less."""
_HEADED: Final = 4
"""Axes of [batch, heads, queries, keys]."""


def measure_attention(sweep: Sweep) -> dict[str, AttentionEvidence]:
    """Return what each softmax whose output a product reads shows, by node; one synchronisation."""
    mixed = _mixed(sweep.subject.graph)
    taken: dict[str, Tensor] = {}
    for node in sweep.path.nodes:
        if node.op != "Softmax" or node.outputs[0] not in mixed:
            continue
        weights, scores = sweep.values[node.outputs[0]].detach(), sweep.values[node.inputs[0]].detach()
        last = node.attributes.get("axis", -1) in {-1, weights.dim() - 1}
        if last and weights.dim() > 2 and weights.numel():  # noqa: PLR2004  a classifier's head has two axes
            taken[node.name] = _numbers(weights, scores)
    flat = torch.cat(list(taken.values())).tolist() if taken else []
    found, at = {}, 0
    for name, numbers in taken.items():
        logit, *heads = flat[at : at + len(numbers)]
        at += len(numbers)
        seen = [each for each in heads if math.isfinite(each)]
        if seen:
            found[name] = AttentionEvidence(sum(seen) / len(seen), tuple(seen), logit)
    return found


def _numbers(weights: Tensor, scores: Tensor) -> Tensor:
    """Return the largest score, then each head's entropy; NaN for a head that sees no two positions."""
    seen = scores > MASKED
    visible = seen.sum(-1).to(weights.dtype)
    entropy = torch.special.entr(weights).sum(-1)
    rows = visible > 1
    share = (entropy / visible.log()).where(rows, 0.0)
    kept = [1] if weights.dim() == _HEADED else []
    others = [axis for axis in range(share.dim()) if axis not in kept]
    heads = share.sum(others) / rows.sum(others)
    logit = scores.abs().where(seen, 0.0).amax()
    return torch.cat([logit.reshape(1), heads.reshape(-1)]).double()


def _mixed(graph: Graph) -> set[str]:
    """Return the values that a product reads, perhaps through dropout, casts or reshapes."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op in {"MatMul", "Einsum", "FusedMatMul"}:
            found.update(node.inputs)
        elif node.op in PLAIN and node.outputs[0] in found:
            found.add(node.inputs[0])
    return found
