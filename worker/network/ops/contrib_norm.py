"""onnxruntime's normalizations, fused with the skip connection before them."""

from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.dtypes import dtype
from worker.network.ops import op
from worker.network.ops.standard import MICROSOFT, standard


@op("LayerNormalization", domain=MICROSOFT)
def layer_normalization(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Tensor | None, ...]:
    """The axes from `axis` on to mean 0 and variance 1, then scaled and shifted."""
    made: tuple[Tensor | None, ...]
    made = standard("LayerNormalization")(x, scale, bias, axis=axis, epsilon=epsilon, stash_type=stash_type)
    return made


@op("SimplifiedLayerNormalization", domain=MICROSOFT)
@op("SimplifiedLayerNormalization")
def simplified_layer_normalization(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Tensor, Tensor]:
    """The axes from `axis` on to mean square 1, then scaled."""
    wide = x if x.dtype == torch.float64 else x.to(dtype(stash_type))
    axes = list(range(axis % x.dim(), x.dim()))
    inverse = torch.rsqrt(wide.square().mean(axes, keepdim=True) + epsilon)
    return (wide * inverse).to(scale.dtype) * scale, inverse.to(dtype(stash_type))


@op("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(
    x: Tensor,
    skip: Tensor,
    gamma: Tensor,
    beta: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[Tensor | None, ...]:
    """LayerNormalization of x + skip + bias, and that sum as the fourth output."""
    total = _added(x, skip, bias)
    return *layer_normalization(total, gamma, beta, epsilon=epsilon), total


@op("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_simplified_layer_normalization(
    x: Tensor, skip: Tensor, gamma: Tensor, bias: Tensor | None = None, *, epsilon: float = 1e-12
) -> tuple[Tensor | None, ...]:
    """SimplifiedLayerNormalization of x + skip + bias, and that sum as the fourth output."""
    total = _added(x, skip, bias)
    y, inverse = simplified_layer_normalization(total, gamma, epsilon=epsilon)
    return y, None, inverse, total


def _added(x: Tensor, skip: Tensor, bias: Tensor | None) -> Tensor:
    total = x + skip
    return total if bias is None else total + bias


@op("EmbedLayerNormalization", domain=MICROSOFT)
def embed_layer_normalization(  # noqa: PLR0917  the specification's inputs
    input_ids: Tensor,
    segment_ids: Tensor | None,
    words: Tensor,
    positions: Tensor,
    segments: Tensor | None,
    gamma: Tensor,
    beta: Tensor,
    mask: Tensor | None = None,
    position_ids: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
    mask_index_type: int = 1,
) -> tuple[Tensor | None, ...]:
    """LayerNormalization of words, positions and segments added up, how many words the mask keeps, and the sum."""
    where = torch.arange(input_ids.shape[1], device=words.device) if position_ids is None else position_ids
    total = functional.embedding(input_ids, words) + functional.embedding(where, positions)
    if segment_ids is not None and segments is not None:
        total = total + functional.embedding(segment_ids, segments)
    kept = input_ids.new_zeros(len(input_ids)) if mask is None else (mask == 1).sum(1).to(mask.dtype)
    return layer_normalization(total, gamma, beta, epsilon=epsilon)[0], kept, total


@op("GroupNorm", domain=MICROSOFT)
def group_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    *,
    activation: int,
    groups: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
) -> Tensor:
    """Each group of channels to mean 0 and variance 1, then scaled and shifted, then SiLU where `activation` is 1."""
    first = x.movedim(-1, 1) if channels_last else x
    y = functional.group_norm(first, groups, gamma.to(x.dtype), beta.to(x.dtype), epsilon)
    shown = functional.silu(y) if activation else y
    return shown.movedim(1, -1) if channels_last else shown


@op("SkipGroupNorm", domain=MICROSOFT)
def skip_group_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    skip: Tensor,
    bias: Tensor | None = None,
    *,
    activation: int,
    groups: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """GroupNorm of x + skip + bias, and that sum."""
    flat = [-1, *[1] * (x.dim() - 2), len(gamma)] if channels_last else [-1, len(gamma), *[1] * (x.dim() - 2)]
    total = x + (skip.reshape(flat) if skip.dim() < x.dim() else skip)
    if bias is not None:
        total = total + bias.reshape([1, *flat[1:]])
    y = group_norm(
        total, gamma, beta, activation=activation, groups=groups, channels_last=channels_last, epsilon=epsilon
    )
    return y, total


@op("GatedRMSNorm", domain=MICROSOFT)
def gated_rms_norm(
    x: Tensor, scale: Tensor, gate: Tensor, *, activation: str = "silu", epsilon: float = 1e-5
) -> Tensor:
    """Every run of as many numbers as the scale has to mean square 1, then scaled, times an activated gate."""
    runs, gates = (each.reshape(*each.shape[:-1], -1, len(scale)) for each in (x, gate))
    opened = torch.sigmoid(gates) if activation == "sigmoid" else functional.silu(gates)
    return (simplified_layer_normalization(runs, scale, epsilon=epsilon)[0] * opened).flatten(-2)


@op("BranchwiseRMSNorm", domain=MICROSOFT)
def branchwise_rms_norm(
    x: Tensor, scale: Tensor | None = None, *, epsilon: float = 1e-5, num_branches: int = 0
) -> Tensor:
    """Each branch, a row or one of `num_branches` parts of it, to mean square 1, then scaled."""
    branches = x.reshape(*x.shape[:-1], num_branches, -1) if num_branches else x
    whole = prod(branches.shape[-2:])
    shape = branches.shape[-2:] if scale is not None and scale.numel() == whole else branches.shape[-1:]
    factor = x.new_ones(shape) if scale is None else scale.reshape(shape).to(x.dtype)
    return simplified_layer_normalization(branches, factor, epsilon=epsilon)[0].reshape(x.shape)
