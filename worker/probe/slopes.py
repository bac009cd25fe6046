"""The slopes of activations: E[φ'²], their part of each layer's gain, and κ, how much a finite width scatters it.

ln E[φ'²] is the activation's part of g = ln E[φ'²] + ln(‖Wᵀδ‖²/‖δ‖²) (nats); κ = 3·E[φ'⁴]/E[φ'²]² − 1 is the variance
of a layer's gain times its width, over redraws of Gaussian weights: 2 for linear layers, 5 for rectifiers.  Costs an
elementwise backward step for each activation.  Sources: Schoenholz et al. 2017; Hanin and Nica 2018.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Node
from worker.network.layers import NONLINEAR
from worker.probe.path import Path
from worker.probe.sweep import Sweep

LINEAR: Final = 2.0
"""κ where no activation stands between the weights."""
RECTIFIED: Final = 5.0
"""κ of a rectifier."""


@dataclass(frozen=True)
class Slopes:
    """One activation's slopes over the batch."""

    op: str
    square: float
    """E[φ'²]"""
    kurtosis: float
    """κ"""


def measure_slopes(sweep: Sweep) -> dict[str, Slopes]:
    """Return the slopes of each activation of the path, by the value that it writes; gates are left out."""
    path = sweep.path
    gated = gates(path)
    moments: dict[str, tuple[str, Tensor]] = {}
    for node in path.nodes:
        source = _source(node, path, gated)
        if source is None:
            continue
        after, before = sweep.values[node.outputs[0]], sweep.values[source]
        if after.shape == before.shape and after.requires_grad and before.requires_grad:
            moments[node.outputs[0]] = (_name(node), _moments(after, before))
    if not moments:
        return {}
    read = torch.stack([each for _, each in moments.values()]).tolist()
    return {
        value: Slopes(op, square, 3 * fourth / square**2 - 1 if square > 0 else RECTIFIED)
        for (value, (op, _)), (square, fourth) in zip(moments.items(), read, strict=True)
    }


def _source(node: Node, path: Path, gated: Mapping[str, str]) -> str | None:
    """Return the pre-activation of a node that is an activation, or that ends one of two nodes (x · sigmoid(x))."""
    if node.op == "Mul":
        return next((gated[value] for value in node.inputs if gated.get(value) in node.inputs), None)
    lone = node.op in NONLINEAR and node.inputs[0] in path.members and node.outputs[0] in path.members
    return node.inputs[0] if lone and node.outputs[0] not in gated else None


def gates(path: Path) -> dict[str, str]:
    """Return the squashed values that multiply another signal, with what they are made of."""
    multiplied = {value for node in path.nodes if node.op == "Mul" and _signals(node, path) for value in node.inputs}
    squashes = (node for node in path.nodes if node.op in NONLINEAR and node.outputs[0] in multiplied)
    return {node.outputs[0]: node.inputs[0] for node in squashes}


def _signals(node: Node, path: Path) -> bool:
    return len(path.members.intersection(node.inputs)) > 1


def _name(node: Node) -> str:
    return "Swish" if node.op == "Mul" else node.op


def _moments(after: Tensor, before: Tensor) -> Tensor:
    """Return E[φ'²] and E[φ'⁴]."""
    (slope,) = torch.autograd.grad(after, before, torch.ones_like(after), retain_graph=True)
    square = slope.square()
    return torch.stack([square.mean(dtype=torch.float64), square.square().mean(dtype=torch.float64)])
