"""The activation at the head that a loss cannot bear, and why; no pass of its own.

A loss of logits wants numbers of both signs without bound, a loss of probabilities numbers from 0 to 1, and a loss of
numbers whatever the targets are.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Final

import torch
from torch import Tensor

from service.contract.words import LossName
from worker.head import SOFTMAXES, squash
from worker.loss import BINARY, CLASSES, class_axis
from worker.network.graph import Graph, Node
from worker.probe.reach import reach

_UNIT: Final = (0.0, 1.0)
_SAME: Final = 1e-3
"""By how much shares that add up to 1 may miss it."""


@dataclass(frozen=True)
class Misfit:
    """An activation that should not stand where it does, and why, as half a sentence."""

    node: Node
    why: str


@dataclass(frozen=True)
class Pair:
    """What a head gives on the batch, and what a loss compares it with."""

    loss: LossName
    values: Tensor
    target: Tensor


def misfit(graph: Graph, output: str, pair: Pair) -> Misfit | None:
    """Return the activation behind which the loss should not read `output`; None where it may."""
    node = squash(graph, output)
    if node is None:
        return None
    low, high = reach(graph, output)
    why = _of_softmax(node, pair) if node.op in SOFTMAXES else _of_bounds(node, pair, low, high)
    return Misfit(node, why or _beyond(pair, low, high)) if why or _beyond(pair, low, high) else None


def under_squash(graph: Graph, node: Node) -> Misfit | None:
    """Return the activation that bounds what a softmax or sigmoid squashes."""
    inner = squash(graph, node.inputs[0])
    low, high = reach(graph, node.inputs[0])
    if inner is None or not (isfinite(low) or isfinite(high)):
        return None
    return Misfit(inner, f"the {node.op} behind it reads logits, of both signs, and it gives {span(low, high)}")


def span(low: float, high: float) -> str:
    """Return a range in words."""
    if isfinite(low) and isfinite(high):
        return f"{low:.4g} to {high:.4g}"
    return f"{low:.4g} and more" if isfinite(low) else f"at most {high:.4g}"


def _of_softmax(node: Node, pair: Pair) -> str:
    values, target = pair.values, pair.target
    axis = class_axis(values)
    if values.dim() > 1 and values.shape[axis] == 1:
        return f"over a single unit it always gives {1 if node.op == 'Softmax' else 0}"
    several = pair.loss in BINARY and values.dim() > 1 and target.shape == values.shape
    if several and bool(((target.sum(axis) - 1).abs() > _SAME).any()):
        return "what it gives a sample adds up to 1, and the targets do not"
    return ""


def _of_bounds(node: Node, pair: Pair, low: float, high: float) -> str:
    """Say why an activation of one number does not go with a loss of classes or of yes and no; "" where it does."""
    if not (isfinite(low) or isfinite(high)):
        return ""
    gives = f"and it gives {span(low, high)}"
    if pair.loss in {LossName.CROSS_ENTROPY, LossName.NLL}:
        return f"{pair.loss} reads logits, which need both signs and room, {gives}"
    if pair.loss is LossName.BCE_WITH_LOGITS and not (node.op == "Sigmoid" and (low, high) == _UNIT):
        return f"{pair.loss} reads logits, which need both signs and room, {gives}"
    if pair.loss in {LossName.BCE, LossName.PROBABILITY_CROSS_ENTROPY} and (low < 0 or high > 1):
        return f"{pair.loss} reads probabilities, {gives}"
    return ""


def _beyond(pair: Pair, low: float, high: float) -> str:
    if pair.loss in CLASSES:
        return ""
    slack = 8 * torch.finfo(torch.float32).eps * max([1.0, *(abs(end) for end in (low, high) if isfinite(end))])
    share = float(((pair.target < low - slack) | (pair.target > high + slack)).double().mean())
    return f"{share:.0%} of the targets lie outside what it gives, {span(low, high)}" if share else ""
