"""Facts about the batch and the head, before anything propagates."""

from math import prod
from typing import Final

import torch
from torch import Tensor

from worker.head import last_operator
from worker.loss import CLASSES, class_axis
from worker.network.graph import Graph
from worker.probe.evidence import InputEvidence, LossEvidence
from worker.probe.sweep import Sweep

_RANGES: Final = {
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "Relu": (0.0, float("inf")),
    "Softplus": (0.0, float("inf")),
}
"""What an output can be after each operator."""
_SOFTMAXES: Final = frozenset({"Softmax", "LogSoftmax"})
_ONE_AXIS: Final = 13
"""Opset from which a softmax runs along one axis; before, along all from there on."""
_ARITHMETIC: Final = frozenset({"Add", "Sub", "Mul", "Div"})


def measure_loss(sweep: Sweep, *, declared: bool) -> LossEvidence:
    """Return the loss, its chance level, and how the head fits."""
    subject = sweep.subject
    output, target = sweep.values[subject.output].detach(), subject.target
    operator, read, axis = last_operator(subject.graph, subject.output)
    producer = subject.graph.producers().get(subject.output)
    classes = subject.loss.name in CLASSES
    opset = subject.graph.opsets.get("", 0)
    return LossEvidence(
        name=subject.loss.name,
        value=float(sweep.loss.detach()),
        chance=subject.loss.chance(target),
        declared=declared,
        head=operator,
        head_node=producer.name if producer else "",
        head_width=_width(sweep.values[read] if operator in _SOFTMAXES else output, operator, axis, opset),
        head_axis=axis,
        output_rank=output.dim(),
        unreachable=0.0 if classes else _unreachable(operator, target),
        target_constant=bool((target == target[:1]).all()) if target.dim() else True,
        output_low=float(output.min()),
        output_high=float(output.max()),
        spread=_spread(output),
    )


def measure_inputs(sweep: Sweep) -> tuple[InputEvidence, ...]:
    """Return the scale of every float input, behind the arithmetic with constants that the network begins with."""
    floats = [name for name, value in sweep.subject.batch.inputs.items() if value.is_floating_point()]
    return tuple(_input(name, sweep.values[prepared(sweep.subject.graph, name)].detach().double()) for name in floats)


def prepared(graph: Graph, value: str) -> str:
    """Return the value that is left of an input once constants are added, subtracted, multiplied and divided by."""
    while True:
        readers = list(graph.consumers(value))
        if len(readers) != 1 or readers[0].op not in _ARITHMETIC:
            return value
        if any(name != value and name not in graph.constants for name in readers[0].inputs):
            return value
        (value,) = readers[0].outputs


def _input(name: str, value: Tensor) -> InputEvidence:
    finite = torch.where(value.isfinite(), value, torch.zeros_like(value))
    return InputEvidence(
        name=name,
        rms=float(finite.square().mean().sqrt()),
        mean=float(finite.mean()),
        std=float(finite.std(correction=0)),
        nonfinite=float((~value.isfinite()).double().mean()),
        constant=float((finite == finite[:1]).all(0).double().mean()) if finite.dim() and len(finite) > 1 else 0.0,
    )


def _width(value: Tensor, operator: str, axis: int | None, opset: int) -> int:
    """Return how many numbers a softmax shares its sum among; for other heads, the size of the class axis."""
    if value.dim() < 2 or operator not in _SOFTMAXES:  # noqa: PLR2004  samples and classes
        return value.shape[class_axis(value)] if value.dim() > 1 else 1
    if opset >= _ONE_AXIS:
        return value.shape[-1 if axis is None else axis]
    return prod(value.shape[1 if axis is None else axis :])


def _unreachable(operator: str, target: Tensor) -> float:
    low, high = _RANGES.get(operator, (float("-inf"), float("inf")))
    return float(((target < low) | (target > high)).double().mean())


def _spread(output: Tensor) -> float:
    """Return the standard deviation between samples by the root mean square."""
    value = output.double()
    power = float(value.square().mean())
    between = float((value - value.mean(0, keepdim=True)).square().mean())
    return (between / power) ** 0.5 if power > 0 else 0.0
