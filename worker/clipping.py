"""Gradient clipping: by the whole norm, by value, by unit against its weight, and by how far a norm stands out."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from service.contract.options import Clipping

Clipper: TypeAlias = Callable[[Sequence[Tensor]], None]
"""Clips the gradients of these tensors in place; one may remember the steps before, and so is made for one run."""

SMOOTHING: Final = 0.97
"""What a running mean keeps of itself at each step (Kumar et al. 2025)."""
OPENING: Final = 25
"""Steps from which the first mean and variance are taken (the same)."""
_SMALLEST_NORM: Final = 1e-3
"""AGC's floor for the norm of a weight (Brock et al. 2021)."""


def clipper(clipping: Clipping | None) -> Clipper:
    """Return what clips as asked for, from the first step of a run on."""
    if clipping is None:
        return _as_they_are
    if clipping.kind == "zscore":
        return Outliers(clipping.limit)
    return partial(_KINDS[clipping.kind], limit=clipping.limit)


class Outliers:
    """Clips gradients whose norm stands out of those of the run so far (ZClip, Kumar et al. 2025, arXiv 2504.02507).

    With μ and σ the running mean and deviation of the norms and z = (n − μ) / σ: where z is above the limit, the norm
    becomes μ + σ·limit²/z, the less the further it stood out.  Both are then updated with the norm as it was clipped;
    the first are those of the first 25 steps, which pass as they are.
    """

    def __init__(self, limit: float) -> None:
        """Allow `limit` standard deviations."""
        self._limit = limit
        self._opening: list[float] = []
        self._mean = 0.0
        self._variance = 0.0

    def __call__(self, parameters: Sequence[Tensor]) -> None:
        """Clip the gradients of one step; a norm that is not finite passes and is forgotten."""
        norm = _norm(parameters)
        if not math.isfinite(norm):
            return
        if len(self._opening) < OPENING:
            self._open(norm)
            return
        allowed = self.allowed(norm)
        if allowed < norm:
            _scale(parameters, allowed / norm)
        self._remember(allowed)

    def allowed(self, norm: float) -> float:
        """Return what a norm is clipped to."""
        above = norm - self._mean
        if above <= self._limit * math.sqrt(self._variance):
            return norm
        return self._mean + self._limit**2 * self._variance / above

    def _open(self, norm: float) -> None:
        self._opening.append(norm)
        self._mean = sum(self._opening) / len(self._opening)
        self._variance = sum((each - self._mean) ** 2 for each in self._opening) / len(self._opening)

    def _remember(self, norm: float) -> None:
        self._mean = SMOOTHING * self._mean + (1 - SMOOTHING) * norm
        self._variance = SMOOTHING * self._variance + (1 - SMOOTHING) * (norm - self._mean) ** 2


def _as_they_are(parameters: Sequence[Tensor]) -> None:
    """Leave gradients alone."""


def _norm(parameters: Sequence[Tensor]) -> float:
    norms = [torch.linalg.vector_norm(each.grad) for each in parameters if each.grad is not None]
    return float(torch.linalg.vector_norm(torch.stack(norms))) if norms else 0.0


def _scale(parameters: Sequence[Tensor], factor: float) -> None:
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)


def _by_norm(parameters: Sequence[Tensor], *, limit: float) -> None:
    clip_grad_norm_(parameters, limit)


def _by_value(parameters: Sequence[Tensor], *, limit: float) -> None:
    clip_grad_value_(parameters, limit)


def _by_unit(parameters: Sequence[Tensor], *, limit: float) -> None:
    """Clip each unit's gradient to `limit` times its weight's norm (AGC, Brock et al. 2021, section 4.1)."""
    for parameter in parameters:
        if parameter.grad is None:
            continue
        axes = tuple(range(1, parameter.dim())) or (0,)
        largest = limit * torch.linalg.vector_norm(parameter, dim=axes, keepdim=True).clamp_min(_SMALLEST_NORM)
        norm = torch.linalg.vector_norm(parameter.grad, dim=axes, keepdim=True)
        parameter.grad.mul_((largest / norm.clamp_min(torch.finfo(norm.dtype).tiny)).clamp_max(1))


_KINDS: Final[Mapping[str, Callable[..., None]]] = {"norm": _by_norm, "value": _by_value, "agc": _by_unit}
