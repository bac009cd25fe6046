"""The loss that gradients come from: how far outputs are from targets, and what the best constant prediction costs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import BatchMismatch
from service.contract.words import LossName

_Function = Callable[[Tensor, Tensor], Tensor]
CLASSES: Final = {LossName.CROSS_ENTROPY, LossName.PROBABILITY_CROSS_ENTROPY, LossName.NLL}
"""Losses whose target is a class per position (an integer), or a distribution over the classes."""
IGNORED: Final = -100
"""The class of positions that do not count: torch's own `ignore_index`."""
BINARY: Final = {LossName.BCE, LossName.BCE_WITH_LOGITS}
"""Losses whose target lies between 0 and 1."""
_IMAGES: Final = 4
"""Axes of a batch of images: samples, channels, height, width."""

_SMALLEST: Final = 1e-7
"""Keras's epsilon: the smallest probability."""


def probability_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross entropy of probabilities [batch, classes, …] as Keras computes it where `from_logits` is false.

    The target holds classes, or a distribution over them.
    """
    shares = (output / output.sum(1, keepdim=True)).clamp(_SMALLEST, 1 - _SMALLEST).log()
    if target.is_floating_point():
        return -(target * shares).sum(1).mean()
    return functional.nll_loss(shares, target)


_FUNCTIONS: Final[dict[LossName, _Function]] = {
    LossName.CROSS_ENTROPY: functional.cross_entropy,
    LossName.PROBABILITY_CROSS_ENTROPY: probability_cross_entropy,
    LossName.NLL: functional.nll_loss,
    LossName.BCE: functional.binary_cross_entropy,
    LossName.BCE_WITH_LOGITS: functional.binary_cross_entropy_with_logits,
    LossName.MSE: functional.mse_loss,
    LossName.MAE: functional.l1_loss,
    LossName.HUBER: functional.huber_loss,
}


@dataclass(frozen=True)
class Loss:
    """A loss by name, torch's own; `scale` multiplies it."""

    name: LossName
    scale: float = 1.0
    notes: tuple[str, ...] = ()
    axis: int | None = None
    """The axis of an output that counts classes, where it is known."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss, a scalar.  BatchMismatch where output and target do not fit each other."""
        output, target = _aligned(self, output, target)
        if self.name is LossName.BCE:
            output = output.clamp(0, 1)  # torch refuses anything else; what lies outside is a finding, not a crash
        return self.scale * _FUNCTIONS[self.name](output, target)

    def chance(self, target: Tensor) -> float:
        """Return the least mean loss of a prediction that is the same for every sample.

        Cross entropy: the entropy of the target's class frequencies.  Squared error: the variance.  Others: the loss of
        the mean or the median, whichever is less.
        """
        if self.name in CLASSES:
            return self.scale * _class_entropy(target, self.axis)
        target = target.detach().double()
        if self.name in BINARY:
            share = target.mean(0).clamp(1e-12, 1 - 1e-12)
            return self.scale * float(-(share * share.log() + (1 - share) * (1 - share).log()).mean())
        best = min(
            float(_FUNCTIONS[self.name](constant.expand_as(target), target))
            for constant in (target.mean(0), target.median(0).values)
        )
        return self.scale * best


def _class_entropy(target: Tensor, axis: int | None) -> float:
    """Return the entropy of the class frequencies, in nats."""
    if target.is_floating_point():
        share = (
            target.detach().double().movedim(class_axis(target) if axis is None else axis, -1).flatten(0, -2).mean(0)
        )
    else:
        known = counted(target.detach())
        share = torch.bincount(known).double() / max(known.numel(), 1)
    return float(torch.special.entr(share).sum())


def _aligned(loss: Loss, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Bring output and target into the shapes that torch's losses take."""
    name = loss.name
    if name in CLASSES:
        return _classes_second(name, output, target, loss.axis)
    target = target.to(output.dtype)
    if output.numel() != target.numel():
        msg = (
            f"The output has shape {tuple(output.shape)} and the target {tuple(target.shape)}; {name} compares equals."
        )
        raise BatchMismatch(msg)
    return output, target.reshape(output.shape)


def _classes_second(name: LossName, output: Tensor, target: Tensor, axis: int | None) -> tuple[Tensor, Tensor]:
    """Move the class axis to where torch wants it: after the batch's."""
    shape, wanted = tuple(output.shape), tuple(target.shape)
    if name is not LossName.NLL and target.is_floating_point() and shape == wanted and output.dim() > 1:
        axis = class_axis(output) if axis is None else axis
        return output.movedim(axis, 1), target.movedim(axis, 1)
    if class_count(shape, target) is None or target.is_floating_point():
        raise BatchMismatch(_no_classes(name, shape, wanted))
    moved = output if shape[:1] + shape[2:] == wanted else output.movedim(-1, 1)
    known = counted(target)
    if target.numel() and not known.numel():
        msg = f"Every class of the target is {IGNORED}, which counts for nothing."
        raise BatchMismatch(msg)
    low, high = (int(known.min()), int(known.max())) if known.numel() else (0, 0)
    if low < 0 or high >= moved.shape[1]:
        msg = f"The target holds class {low if low < 0 else high}; the output has classes 0 to {moved.shape[1] - 1}."
        raise BatchMismatch(msg)
    return moved, target


def _no_classes(name: LossName, output: tuple[int, ...], target: tuple[int, ...]) -> str:
    """Say why an output and a target of these shapes make no classification."""
    if len(output) < 2:  # noqa: PLR2004  samples and classes
        return f"The output has shape {output}, without an axis of classes; {name} needs one."
    return f"The output has shape {output}, so {name} needs classes of shape {output[:-1]}; the target has {target}."


def counted(target: Tensor) -> Tensor:
    """Return the classes of a target that count, in a row."""
    return target[target != IGNORED]


def class_axis(output: Tensor) -> int:
    """Return the axis that counts classes where no target tells: the last, but the second of images."""
    return 1 if output.dim() >= _IMAGES else output.dim() - 1


def class_count(output_shape: tuple[int, ...], target: Tensor) -> int | None:
    """Return how many classes an output of this shape tells apart for this target; None where the shapes don't fit."""
    if len(output_shape) < 2:  # noqa: PLR2004  samples and classes
        return None
    if output_shape[:1] + output_shape[2:] == tuple(target.shape):
        return output_shape[1]
    return output_shape[-1] if output_shape[:-1] == tuple(target.shape) else None
