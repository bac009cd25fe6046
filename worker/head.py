"""The head: which output the loss reads, which loss fits it, and, where the caller gave no target, one to fit."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from service.contract.problem import BatchMismatch
from service.contract.words import LossName
from worker.loss import BINARY, CLASSES, Loss, class_axis, class_count
from worker.network.graph import Graph, Node, torch_stream

LAYOUT: Final = frozenset({"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Dropout"})
"""Operators between an activation and the output that leave its values as they are."""
SOFTMAXES: Final = frozenset({"Softmax", "LogSoftmax"})
COPIES: Final = frozenset({"Identity", "Cast", "Dropout"})
"""Those that leave its shape as it is, too."""
_SHIFTS: Final = frozenset({"Add", "Sub", "Mul", "Div"})
ACTIVATIONS: Final = SOFTMAXES | frozenset(
    {"Sigmoid", "HardSigmoid", "Tanh", "Softsign", "Relu", "ThresholdedRelu", "LeakyRelu", "Elu", "Celu", "Selu"}
    | {"Gelu", "HardSwish", "Mish", "Softplus", "Clip", "Erf", "Sin", "Cos", "Exp", "Abs", "Sqrt"}
)
"""Operators of one signal that a head can end in."""
_TAKES_LOGITS: Final = {("Softmax", LossName.CROSS_ENTROPY), ("Sigmoid", LossName.BCE_WITH_LOGITS)}
_FEW_CLASSES: Final = 1000
_IMAGES: Final = 4
"""Axes of a batch of images, whose channels come second or last."""


@dataclass(frozen=True)
class Head:
    """What the loss reads and what stands before it."""

    output: str
    """The value that the loss reads; before the last softmax or sigmoid where the loss takes logits."""
    loss: Loss
    target: Tensor
    declared: bool = False
    """Whether the caller named the loss."""


def source(graph: Graph, value: str, through: Collection[str]) -> Node | None:
    """Return the node that a value comes from, through operators of these kinds; None where that is an input."""
    producers = graph.producers()
    node = producers.get(value)
    while node is not None and node.op in through:
        node = producers.get(node.inputs[0])
    return node


def last_operator(graph: Graph, output: str) -> tuple[str, str, int | None]:
    """Return the operator that gives `output` its range, the value that it reads, and its axis.

    The logarithm of a softmax is one: LogSoftmax.
    """
    node = source(graph, output, LAYOUT)
    if node is None:
        return "", output, None
    inner = source(graph, node.inputs[0], COPIES) if node.op == "Log" else None
    if inner is not None and inner.op == "Softmax":
        return "LogSoftmax", inner.inputs[0], _axis(inner)
    return node.op, node.inputs[0] if node.inputs else output, _axis(node)


def squash(graph: Graph, output: str) -> Node | None:
    """Return the activation that gives `output` its range, through arithmetic with constants behind it, if any."""
    node = source(graph, output, LAYOUT)
    while node is not None and node.op in _SHIFTS and sum(name not in graph.constants for name in node.inputs) == 1:
        (signal,) = (name for name in node.inputs if name not in graph.constants)
        node = source(graph, signal, LAYOUT)
    return node if node is not None and node.op in ACTIVATIONS else None


def _axis(node: Node) -> int | None:
    axis = node.attributes.get("axis")
    return axis if isinstance(axis, int) else None


def choose(graph: Graph, sample: Tensor, target: Tensor | None, name: LossName, *, output: str, seed: int) -> Head:
    """Return the head for an output whose value on the batch is `sample`.

    `auto` reads the loss off output and target.  After a softmax or sigmoid it takes the logits before it, which is the
    same loss computed without overflow.  A named loss is applied to the output as it stands.
    """
    operator, _, _ = last_operator(graph, output)
    axis = _class_axis(graph, output, sample)
    if name is LossName.PROBABILITY_CROSS_ENTROPY and operator == "Softmax":
        name = LossName.AUTO  # the same loss from the logits, without overflow; Keras takes them, too
    named = name is not LossName.AUTO
    notes: tuple[str, ...] = ()
    if target is None:
        name = name if named else _loss_without_target(operator, _width(sample, axis))
        target = _drawn_target(name, operator, sample, seed, axis)
        notes = (f"No target came with the batch: one was drawn at random, to be fitted under {name}.",)
    else:
        target = _per_position(target, sample)
        name = name if named else _loss_for(operator, sample, target, axis)
    logits = None if named else _logits(graph, output, name)
    if logits is not None:
        notes = (*notes, f"The model ends in {operator}; the loss reads the logits before it.")
    elif not named and operator == "Sigmoid" and name is LossName.BCE_WITH_LOGITS:
        name = LossName.BCE
    return Head(
        logits or output, Loss(name, notes=notes, axis=axis), _as_wanted(name, target, sample, axis), declared=named
    )


def _class_axis(graph: Graph, output: str, sample: Tensor) -> int:
    """Return the axis that counts classes: a softmax's own, the last behind channels that were moved there."""
    if sample.dim() < _IMAGES:
        return class_axis(sample)
    node = source(graph, output, COPIES)
    axis = node.attributes.get("axis") if node is not None and node.op in SOFTMAXES else None
    if isinstance(axis, int) and axis % sample.dim():
        return axis % sample.dim()
    below = source(graph, output, LAYOUT | SOFTMAXES | {"Add"})
    perm = below.attributes.get("perm") if below is not None and below.op == "Transpose" else None
    if isinstance(perm, tuple) and perm[-1:] == (1,):
        return sample.dim() - 1
    return class_axis(sample)


def _logits(graph: Graph, output: str, name: LossName) -> str | None:
    """Return the logits that a loss of its own softmax or sigmoid can read, where they have the output's shape."""
    node = source(graph, output, COPIES)
    if node is None or (node.op, name) not in _TAKES_LOGITS:
        return None
    over_the_batch = node.op == "Softmax" and node.attributes.get("axis") == 0
    return None if over_the_batch else node.inputs[0]


def _loss_without_target(operator: str, width: int) -> LossName:
    if operator == "LogSoftmax":
        return LossName.NLL
    if operator == "Sigmoid":
        return LossName.BCE_WITH_LOGITS
    return LossName.CROSS_ENTROPY if width > 1 and operator != "Tanh" else LossName.MSE


def _width(sample: Tensor, axis: int) -> int:
    """Return the size of the class axis; 1 where there is one number per sample."""
    return sample.shape[axis] if sample.dim() > 1 else 1


def _per_position(target: Tensor, sample: Tensor) -> Tensor:
    """Return classes of shape [batch, 1], or [batch] for outputs [batch, classes, 1, …], in the shape of positions."""
    if target.is_floating_point() or target.shape == sample.shape:
        return target
    if target.dim() == sample.dim() and target.shape[-1] == 1:
        return target.squeeze(-1)
    positions = sample.shape[:1] + sample.shape[2:]
    return target.reshape(positions) if target.dim() == 1 and target.numel() == positions.numel() else target


def _loss_for(operator: str, sample: Tensor, target: Tensor, axis: int) -> LossName:
    """Read the loss off the target's type and range and the model's last operator."""
    if _whole(target) and (class_count(tuple(sample.shape), target) or 0) > 1:
        return LossName.NLL if operator == "LogSoftmax" else LossName.CROSS_ENTROPY
    values = target.float()
    if operator == "Softmax" and _width(sample, axis) == 1:
        return LossName.BCE  # the loss of what it gives, which is always 1; there are no logits to read
    if operator == "Softmax" and target.shape == sample.shape:
        return LossName.CROSS_ENTROPY
    within = bool(((values >= 0) & (values <= 1)).all())
    binary = bool(((values == 0) | (values == 1)).all())
    if (binary and operator not in {"Tanh", "Relu"}) or (within and operator == "Sigmoid"):
        return LossName.BCE_WITH_LOGITS
    return LossName.MSE


def _whole(target: Tensor) -> bool:
    """Whether every number of a target is whole, and so may be a class."""
    return bool((target.double() == target.double().round()).all())


def _drawn_target(name: LossName, operator: str, sample: Tensor, seed: int, axis: int) -> Tensor:
    """Draw a target that a network can only fit by telling the samples apart."""
    generator = torch_stream(seed, "target")
    shape = tuple(sample.shape)
    if name in CLASSES:
        where = [size for place, size in enumerate(shape) if place != axis]
        return torch.randint(min(_width(sample, axis), _FEW_CLASSES), where, generator=generator).to(sample.device)
    if name in BINARY:
        return torch.randint(2, shape, generator=generator).float().to(sample.device)
    drawn = torch.randn(shape, generator=generator).to(sample.device)
    return {"Tanh": drawn.tanh(), "Sigmoid": drawn.sigmoid(), "Relu": drawn.abs()}.get(operator, drawn)


def _as_wanted(name: LossName, target: Tensor, sample: Tensor, axis: int) -> Tensor:
    """Return the target in the type and shape that the loss takes; BatchMismatch where it holds other numbers."""
    if name in CLASSES and target.shape == sample.shape and _width(sample, axis) > 1:
        _refuse(target[(target < 0) | (target > 1)], f"The loss {name} takes a class, or a share of 0 to 1 for each")
        return target.float()
    if name in CLASSES:
        _refuse(target[target.double() != target.double().round()], f"The loss {name} takes classes")
        return _per_position(target.long(), sample)
    target = target.float().reshape(sample.shape) if target.numel() == sample.numel() else target.float()
    if name in BINARY:
        _refuse(target[(target < 0) | (target > 1)], f"The loss {name} takes targets from 0 to 1")
    return target


def _refuse(wrong: Tensor, wanted: str) -> None:
    """Say what was wanted and the first number that is something else; nothing where there is none."""
    if wrong.numel():
        msg = f"{wanted}; the target holds {float(wrong[0]):g}."
        raise BatchMismatch(msg)
