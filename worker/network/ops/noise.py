"""Noise that ONNX has no operator for, in training only: x itself otherwise.

No file holds these: they are written as what they are in evaluation (`worker.network.evaluated`).  `axes` are those
along which one draw holds, the batch's being 0.
"""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from worker.network.ops import Context, op

OWN = "gradgate"
"""The domain of operators that no file holds."""
LOWEST = -1.7580993408473766
"""What SELU tends to on the left."""


@op("Dropout", domain=OWN)
def dropout(x: Tensor, *, ratio: float, axes: Sequence[int] = (), context: Context) -> Tensor:
    """In training, each element kept with probability 1 - ratio and scaled to keep the mean."""
    if not context.training:
        return x
    return x * _kept(x, ratio, axes, context) / (1 - ratio) if ratio < 1 else x * 0


@op("AlphaDropout", domain=OWN)
def alpha_dropout(x: Tensor, *, ratio: float, axes: Sequence[int] = (), context: Context) -> Tensor:
    """In training, each element kept or put to SELU's lowest; mean 0 and variance 1 stay (Klambauer et al. 2017)."""
    if not context.training:
        return x
    scale = 1 / sqrt((1 - ratio) * (1 + ratio * LOWEST**2))
    dropped = torch.where(_kept(x, ratio, axes, context), x, torch.full_like(x, LOWEST))
    return scale * (dropped - LOWEST * ratio)


@op("GaussianDropout", domain=OWN)
def gaussian_dropout(x: Tensor, *, ratio: float, context: Context) -> Tensor:
    """In training, each element times a normal number of mean 1 and variance ratio / (1 - ratio)."""
    if not context.training:
        return x
    return x * (1 + sqrt(ratio / (1 - ratio)) * _normal(x, context))


@op("GaussianNoise", domain=OWN)
def gaussian_noise(x: Tensor, *, std: float, context: Context) -> Tensor:
    """In training, each element plus a normal number of mean 0."""
    return x + std * _normal(x, context) if context.training else x


@op("RandomRelu", domain=OWN)
def random_relu(x: Tensor, *, lower: float, upper: float, context: Context) -> Tensor:
    """x where it is positive, a x elsewhere: `a` uniform for each element in training, the middle in evaluation."""
    if not context.training:
        return torch.nn.functional.leaky_relu(x, (lower + upper) / 2)
    slope = lower + (upper - lower) * _uniform(x.shape, x, context)
    return torch.where(x >= 0, x, slope * x)


def _kept(x: Tensor, ratio: float, axes: Sequence[int], context: Context) -> Tensor:
    sizes = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    return _uniform(sizes, x, context) >= ratio


def _uniform(sizes: Sequence[int], x: Tensor, context: Context) -> Tensor:
    return torch.rand(sizes, generator=context.generator, device=_place(x, context), dtype=x.dtype).to(x.device)


def _normal(x: Tensor, context: Context) -> Tensor:
    there = _place(x, context)
    return torch.randn(x.shape, generator=context.generator, device=there, dtype=x.dtype).to(x.device)


def _place(x: Tensor, context: Context) -> torch.device:
    return x.device if context.generator is None else context.generator.device
