"""The loss on the batch, its chance level, and how the head fits: what it can give, and what the loss wants.

No pass of its own.  Losses are in nats, or in the target's unit squared.
Sources: Schoop et al. 2021 (UMLAUT), Nikanjam et al. 2021 (NeuraLint).
"""

from math import isfinite, prod
from typing import Final

import torch
from torch import Tensor

from worker.head import COPIES, LAYOUT, last_operator, source
from worker.loss import CLASSES, class_axis
from worker.network.graph import Graph
from worker.probe.collapse import sample_axis
from worker.probe.evidence import LossEvidence
from worker.probe.reach import reach
from worker.probe.sweep import Sweep

_SOFTMAXES: Final = frozenset({"Softmax", "LogSoftmax"})
_SQUASHES: Final = frozenset({"Softmax", "Sigmoid"})
_ONE_AXIS: Final = 13
"""Opset from which a softmax runs along one axis; before, along all from there on."""


def measure_loss(sweep: Sweep, *, declared: bool) -> LossEvidence:
    """Return the loss, its chance level, and how the head fits."""
    subject, graph = sweep.subject, sweep.subject.graph
    output, target = sweep.values[subject.output].detach(), subject.target
    operator, read, axis = last_operator(graph, subject.output)
    producer = graph.producers().get(subject.output)
    classes = subject.loss.name in CLASSES
    opset = graph.opsets.get("", 0)
    low, high = reach(graph, subject.output)
    squashed = sweep.values[read] if operator in _SOFTMAXES else output
    hidden = _last_hidden(sweep)
    return LossEvidence(
        name=subject.loss.name,
        value=float(sweep.loss.detach()),
        chance=subject.loss.chance(target),
        declared=declared,
        head=operator,
        head_node=producer.name if producer else "",
        head_width=_width(squashed, operator, axis, opset),
        head_axis=axis,
        output_rank=output.dim(),
        unreachable=0.0 if classes else _outside(target, low, high),
        target_constant=bool((target == target[:1]).all()) if target.dim() else True,
        output_low=float(output.min()),
        output_high=float(output.max()),
        output_rms=float(output.double().square().mean().sqrt()),
        scale=subject.loss.scale,
        head_low=low,
        head_high=high,
        of_pairs=subject.batch.size in squashed.shape[1:] and squashed.shape[0] == subject.batch.size,
        squashed_again=_squashed_again(graph, subject.output),
        one_hot=_one_hot(target, output),
        hidden=sweep.path.producers[hidden].name if hidden else "",
        hidden_spread=_spread(*_counted(sweep, hidden)) if hidden else 1.0,
    )


def _width(value: Tensor, operator: str, axis: int | None, opset: int) -> int:
    """Return how many numbers a softmax shares its sum among; for other heads, the size of the class axis."""
    if value.dim() < 2 or operator not in _SOFTMAXES:  # noqa: PLR2004  samples and classes
        return value.shape[class_axis(value)] if value.dim() > 1 else 1
    if opset >= _ONE_AXIS:
        return value.shape[-1 if axis is None else axis]
    return prod(value.shape[1 if axis is None else axis :])


def _squashed_again(graph: Graph, output: str) -> str:
    """Return the softmax or sigmoid behind the output that squashes what one like it has squashed already."""
    first = source(graph, output, LAYOUT)
    if first is None or first.op not in _SQUASHES:
        return ""
    waiting = [output]
    for value in waiting:
        for node in graph.consumers(value):
            if node.op == first.op:
                return node.name
            waiting.extend(node.outputs[:1] if node.op in COPIES else ())
    return ""


def _outside(target: Tensor, low: float, high: float) -> float:
    """Return the share of targets beyond a range; rounding at its ends is none."""
    slack = 8 * torch.finfo(torch.float32).eps * max(abs(end) for end in (low, high, 1.0) if isfinite(end))
    return float(((target < low - slack) | (target > high + slack)).double().mean())


def _one_hot(target: Tensor, output: Tensor) -> bool:
    """Whether every row of the target is a 1 among zeros."""
    if not target.is_floating_point() or target.shape != output.shape or target.dim() < 2:  # noqa: PLR2004
        return False
    axis = class_axis(target)
    bits = bool(((target == 0) | (target == 1)).all())
    return bits and target.shape[axis] > 1 and bool((target.sum(axis) == 1).all())


def _last_hidden(sweep: Sweep) -> str:
    """Return the last value that every path passes before the head's weights; "" where there is none."""
    path = sweep.path
    below = [value for value in path.cuts() if 0 < path.depth[value] < path.depth.get(path.output, 0)]
    return below[-1] if below else ""


def _counted(sweep: Sweep, value: str) -> tuple[Tensor, int]:
    """Return a value, and the axis that counts its samples: recurrent operators have them on another than the first."""
    found = sweep.values[value].detach()
    return found, sample_axis(found, sweep.subject.batch.size) or 0


def _spread(value: Tensor, axis: int) -> float:
    """Return the standard deviation between samples by the root mean square."""
    value = value.double()
    power = float(value.square().mean())
    between = float((value - value.mean(axis, keepdim=True)).square().mean()) if value.dim() else 0.0
    return (between / power) ** 0.5 if power else 0.0
