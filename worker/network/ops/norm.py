"""Normalizations and dropout."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.dtypes import dtype
from worker.network.ops import Context, op

BOOLEAN_MASK = 10
"""The version from which dropout's mask is of truth values."""


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape((1, -1) + (1,) * (x.dim() - 2))


@op("BatchNormalization", since=14)
def batch_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    context: Context,
) -> tuple[Tensor, ...]:
    """Each channel to mean 0 and variance 1, then scaled and shifted.

    The statistics are the batch's (its variance biased) in training, and the running ones otherwise.  Nothing keeps
    the running ones moving, but where the file itself asks for training and nobody overrules it.
    """
    if context.training or (context.training is None and training_mode):
        y = _by_batch(x, scale, bias, epsilon)
        return y, *(_moved(x, mean, var, momentum) if training_mode and not context.training else (mean, var))
    return _by_running(x, scale, bias, mean, var, epsilon), mean, var


def _by_batch(x: Tensor, scale: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    kind = torch.promote_types(x.dtype, scale.dtype)
    wide, factor, shift = x.to(kind), scale.to(kind), bias.to(kind)
    y = torch.batch_norm(wide, factor, shift, None, None, True, 0.0, epsilon, False)  # noqa: FBT003  torch's own order
    return y.to(x.dtype)


def _by_running(  # noqa: PLR0917  the specification's order
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, epsilon: float
) -> Tensor:
    moving = mean.requires_grad or var.requires_grad
    if not moving and x.dtype == scale.dtype == mean.dtype:
        return torch.batch_norm(x, scale, bias, mean, var, False, 0.0, epsilon, False)  # noqa: FBT003
    factor = scale * torch.rsqrt(var + epsilon)
    y = (x - _per_channel(mean, x)) * _per_channel(factor, x) + _per_channel(bias, x)
    return y.to(x.dtype)


@op("BatchNormalization", since=7)
def batch_normalization_by_outputs(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    spatial: int = 1,
    context: Context,
) -> tuple[Tensor, ...]:
    """BatchNormalization as it was: more than one output asks for training, and each element may be a channel."""
    rows = x if spatial else x.flatten(1)
    settings = (each.reshape(-1) for each in (scale, bias, mean, var))
    asked = int(context.outputs > 1)
    y, *moved = batch_normalization(
        rows, *settings, epsilon=epsilon, momentum=momentum, training_mode=asked, context=context
    )
    kept = [each.reshape(mean.shape) for each in moved]
    return y.reshape(x.shape), *kept, *kept


@op("BatchNormalization")
def batch_normalization_by_attribute(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float = 1e-5,
    is_test: int = 0,
    momentum: float = 0.9,
    spatial: int = 1,
    context: Context,
) -> tuple[Tensor, ...]:
    """BatchNormalization as it was at first: an attribute tells training from test."""
    asked = replace(context, outputs=1) if is_test else context
    return batch_normalization_by_outputs(
        x, scale, bias, mean, var, epsilon=epsilon, momentum=momentum, spatial=spatial, context=asked
    )


def _moved(x: Tensor, mean: Tensor, var: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Return the running statistics after a batch."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    here, spread = x.mean(axes), x.var(axes, correction=0)
    return mean * momentum + here * (1 - momentum), var * momentum + spread * (1 - momentum)


@op("InstanceNormalization")
def instance_normalization(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Each channel of each sample to mean 0 and variance 1, then scaled and shifted."""
    return torch.instance_norm(x, scale, bias, None, None, True, 0.0, epsilon, False)  # noqa: FBT003  torch's own order


@op("GroupNormalization", since=21)
def group_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Each group of channels of each sample to mean 0 and variance 1, then scaled and shifted by channel."""
    return functional.group_norm(x, num_groups, scale, bias, epsilon)


@op("GroupNormalization", since=18)
def group_normalization_by_group(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5
) -> Tensor:
    """Each group of channels of each sample to mean 0 and variance 1, then scaled and shifted by group."""
    share = x.shape[1] // num_groups
    factor, shift = (each.repeat_interleave(share) for each in (scale, bias))
    return functional.group_norm(x, num_groups, factor, shift, epsilon)


@op("LayerNormalization")
def layer_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    context: Context | None = None,
) -> tuple[Tensor, ...]:
    """The axes from `axis` on to mean 0 and variance 1, then scaled and shifted; the mean and 1 / deviation besides."""
    sizes = x.shape[axis % x.dim() :]
    if context is not None and context.outputs == 1 and _alike(x, sizes, scale, bias):
        return (functional.layer_norm(x, sizes, scale, bias, epsilon),)
    axes = list(range(-len(sizes), 0))
    wide = x if x.dtype == torch.float64 else x.to(dtype(stash_type))
    mean = wide.mean(axes, keepdim=True)
    centred = wide - mean
    inverse = torch.rsqrt(centred.square().mean(axes, keepdim=True) + epsilon)
    scaled = (centred * inverse).to(x.dtype) * scale
    return scaled if bias is None else scaled + bias, mean, inverse


def _alike(x: Tensor, sizes: torch.Size, *others: Tensor | None) -> bool:
    """Whether torch's own normalization takes these tensors: of one type and the sizes that are normalized."""
    return all(other is None or (other.shape == sizes and other.dtype == x.dtype) for other in others)


@op("RMSNormalization")
def rms_normalization(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """The axes from `axis` on to mean square 1, then scaled."""
    sizes = x.shape[axis % x.dim() :]
    if x.dtype in {torch.float32, torch.float64} and _alike(x, sizes, scale):
        return functional.rms_norm(x, list(sizes), scale, epsilon)
    axes = list(range(-len(sizes), 0))
    wide = x if x.dtype == torch.float64 else x.to(dtype(stash_type))
    return (wide * torch.rsqrt(wide.square().mean(axes, keepdim=True) + epsilon)).to(x.dtype) * scale


@op("LRN")
def local_response(x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Tensor:
    """Each element divided by (bias + alpha / size · sum of squares over `size` neighbouring channels)^beta."""
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    padding = [0, 0] * (x.dim() - 2) + [before, after]
    squares = functional.pad(x.square(), padding).unfold(1, size, 1).sum(-1)
    return x / (bias + alpha / size * squares).pow(beta)


@op("LpNormalization")
def lp_normalization(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """Each vector along an axis divided by its p-norm; a vector of zeros stays."""
    norm = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)


@op("MeanVarianceNormalization")
def mean_variance(x: Tensor, *, axes: Sequence[int] = (0, 2, 3)) -> Tensor:
    """The axes given to mean 0 and variance 1."""
    centred = x - x.mean(list(axes), keepdim=True)
    return centred / (centred.square().mean(list(axes), keepdim=True).sqrt() + 1e-9)


@op("Dropout", since=12, fixed=["ratio"])
def dropout(
    x: Tensor, ratio: Tensor | None = None, training_mode: Tensor | None = None, *, seed: int = 0, context: Context
) -> tuple[Tensor, Tensor]:
    """In training, each element kept with probability 1 - ratio and scaled to keep the mean; x itself otherwise."""
    asked = training_mode is not None and bool(training_mode)
    return _dropped(x, 0.5 if ratio is None else float(ratio), context, asked=asked)


@op("Dropout", since=7)
def dropout_by_attribute(x: Tensor, *, ratio: float = 0.5, context: Context) -> tuple[Tensor, Tensor]:
    """In training, each element kept with probability 1 - ratio and scaled to keep the mean; x itself otherwise."""
    y, kept = _dropped(x, ratio, context, asked=False)
    return y, kept if context.opset >= BOOLEAN_MASK else kept.to(x.dtype)


@op("Dropout")
def dropout_with_mode(x: Tensor, *, is_test: int = 0, ratio: float = 0.5, context: Context) -> tuple[Tensor, Tensor]:
    """Dropout as it was at first: an attribute tells training from test."""
    y, kept = _dropped(x, ratio, context, asked=not is_test)
    return y, kept.to(x.dtype)


def _dropped(x: Tensor, ratio: float, context: Context, *, asked: bool) -> tuple[Tensor, Tensor]:
    training = asked if context.training is None else context.training
    if not training or ratio <= 0:
        return x, torch.ones_like(x, dtype=torch.bool)
    there = x.device if context.generator is None else context.generator.device
    kept = torch.rand(x.shape, generator=context.generator, device=there).to(x.device) >= ratio
    return x * kept / (1 - ratio) if ratio < 1 else x * 0, kept
