"""What becomes of the signal between two fronts: its second moment, its likeness between samples, its nonlinearity.

F = ln(q_last/q_first), q the mean square per element; C = ln[(v_last/q_last)/(v_first/q_first)], v the variance over
samples (or, for C_tok, over the positions of a sequence); NLC² = E[((x' − x̄)·Jᵀu)²]/E‖f − f̄‖² for a random u.
Nats; no pass of its own.  Sources: Schoenholz et al. 2017, Noci et al. 2022 (tokens), Philipp and Carbonell 2018 (NLC).
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

_SEQUENCE: Final = 3
_ROUNDING: Final = torch.finfo(torch.float32).eps ** 2
"""Share of variance below which there is only float32's rounding."""
_TINY: Final = 1e-290


def squares(tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of squares over all tensors, as a float64 number on their device."""
    norms = [torch.linalg.vector_norm(each.detach(), dtype=torch.float64).square() for each in tensors]
    return norms[0] if len(norms) == 1 else torch.stack(norms).sum()


def power(tensors: Sequence[Tensor]) -> Tensor:
    """Return the mean square per element over all tensors."""
    return squares(tensors) / max(sum(each.numel() for each in tensors), 1)


def sample_collapse(first: Sequence[Tensor], last: Sequence[Tensor], samples: int) -> float:
    """Return C between samples; recurrent operators have them on another axis than the first."""
    before, after = (_share([(each, sample_axis(each, samples) or 0) for each in front]) for front in (first, last))
    return log_ratio(after, before)


def token_collapse(fronts: Sequence[Sequence[Tensor]]) -> float:
    """Return C between positions, from the first to the last front that is one tensor [batch, positions, features].

    0 unless there are two of one length.
    """
    single = [front[0] for front in fronts if len(front) == 1 and front[0].dim() == _SEQUENCE]
    if len(single) < 2 or not single[0].shape[1] == single[-1].shape[1] > 1:  # noqa: PLR2004  a change needs two ends
        return 0.0
    return log_ratio(_share([(single[-1], 1)]), _share([(single[0], 1)]))


def sample_axis(value: Tensor, samples: int) -> int | None:
    """Return the first axis that is as long as the batch; None where there is none."""
    return next((axis for axis, size in enumerate(value.shape) if size == samples), None)


def nonlinearity(
    first: Sequence[Tensor], last: Sequence[Tensor], gradients: Sequence[Tensor], samples: int
) -> Tensor | None:
    """Return NLC²·(‖g‖²/‖u‖²)⁻¹ for the unit cotangent `gradients` at the first front; None where samples are mixed.

    Whoever knows by how much the norm of the random cotangent changed on its way multiplies by that.
    """
    given, made, pulled = (_rows(front, samples) for front in (first, last, gradients))
    if samples < 2 or given is None or made is None or pulled is None:  # noqa: PLR2004  a variance takes two
        return None
    along = (_centred(given) @ pulled.T).double().square().mean()
    return along * sum(each.numel() for each in last) / _centred(made).double().square().sum(1).mean()


def log_ratio(after: float, before: float) -> float:
    """Return ln of a ratio; 0 where there is none, since infinities (of a mask) stand in one of the values."""
    comparable = 0 < before < math.inf and math.isfinite(after)
    return math.log(max(after, _TINY)) - math.log(max(before, _TINY)) if comparable else 0.0


def _rows(front: Sequence[Tensor], samples: int) -> Tensor | None:
    """Return a front as a matrix, a row for each sample."""
    axes = [sample_axis(each, samples) for each in front]
    if any(axis is None for axis in axes):
        return None
    moved = (each.detach().movedim(axis or 0, 0).flatten(1) for each, axis in zip(front, axes, strict=True))
    return torch.cat([each if each.dim() > 1 else each.unsqueeze(1) for each in moved], 1)


def _centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(0, keepdim=True)


def _share(along: Sequence[tuple[Tensor, int]]) -> float:
    """Return the share of the second moment that is variance along an axis of each tensor."""
    values = [(each.detach().double(), axis) for each, axis in along if each.dim()]
    total = sum(float(value.square().sum()) for value, _ in values)
    between = sum(float((value - value.mean(axis, keepdim=True)).square().sum()) for value, axis in values)
    return max(between / total, _ROUNDING) if total > 0 else 0.0
