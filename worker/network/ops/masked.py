"""Normalization over the steps that count, which ONNX has no operator for.

No file holds it: it is written as what it is in evaluation (`worker.network.evaluated`).
"""

import torch
from torch import Tensor

from worker.network.ops import Context, op

OWN = "gradgate"
"""The domain of operators that no file holds."""
LEAST = 1e-7
"""What Keras adds to a count before it divides by it."""


@op("BatchNormalization", domain=OWN)
def batch_normalization(  # noqa: PLR0917  the order of ONNX, and the mask
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    mask: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    context: Context,
) -> Tensor:
    """Each channel to mean 0 and variance 1, then scaled and shifted.

    In training the statistics are those of the batch where `mask` (the shape of x, channels 1) holds.
    """
    sizes = (1, -1, *(1 for _ in x.shape[2:]))
    if context.training:
        mean, var = _moments(x, mask.to(torch.bool).expand_as(x))
    factor = torch.rsqrt(var.reshape(sizes) + epsilon) * scale.reshape(sizes)
    return (x - mean.reshape(sizes)) * factor + bias.reshape(sizes)


def _moments(x: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    axes = [axis for axis in range(x.dim()) if axis != 1]
    zero = torch.zeros_like(x)
    count = counted.sum(axes, keepdim=True) + LEAST
    mean = torch.where(counted, x, zero).sum(axes, keepdim=True) / count
    return mean, torch.where(counted, x - mean, zero).square().sum(axes, keepdim=True) / count
