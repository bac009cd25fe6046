"""onnxruntime's biases on the logits of attention that depend on how far apart two words are."""

import math

import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator
from worker.network.ops import op
from worker.network.ops.heads import parted
from worker.network.ops.standard import MICROSOFT


@op("RelativePositionBias", domain=MICROSOFT)
def relative_position_bias(
    table: Tensor, queries: Tensor, keys: Tensor, *, max_distance: int, is_bidirectional: int = 0
) -> Tensor:
    """Each head's number for the distance of two words [1, heads, queries, keys], as in T5 (Raffel et al. 2020).

    The table's shape is (buckets, heads), but its numbers lie head by head.
    """
    buckets, heads = table.shape
    query, key = (torch.arange(int(each), device=table.device) for each in (queries, keys))
    which = _buckets(key - query[:, None], buckets, max_distance, both=bool(is_bidirectional))
    return table.reshape(heads, buckets)[:, which][None]


def _buckets(apart: Tensor, count: int, furthest: int, *, both: bool) -> Tensor:
    """Return which bucket a distance falls into: each its own while small, then ever wider ones."""
    side = torch.zeros_like(apart)
    if both:
        count //= 2
        side = (apart > 0) * count
    distance = apart.abs() if both else (-apart).clamp(min=0)
    own = count // 2
    share = torch.log(distance.clamp(min=1) / own) / math.log(furthest / own)
    wide = (own + (share * (count - own)).to(torch.int64)).clamp(max=count - 1)
    return side + torch.where(distance < own, distance, wide)


@op("GatedRelativePositionBias", domain=MICROSOFT)
def gated_relative_position_bias(  # noqa: PLR0917  the specification's inputs
    query: Tensor,
    query_bias: Tensor,
    positions: Tensor,
    weight: Tensor,
    bias: Tensor,
    eco_a: Tensor,
    token_offset: Tensor | None = None,
    *,
    num_heads: int,
) -> Tensor:
    """A bias by position times a gate that the query opens, as in WavLM (Chen et al. 2022)."""
    if token_offset is not None:
        msg = "GatedRelativePositionBias of packed words is not supported."
        raise UnsupportedOperator(msg)
    sums = parted(query + query_bias, num_heads) @ weight + bias
    halves = torch.sigmoid(sums.reshape(*sums.shape[:3], 2, -1).sum(-1))
    update, reset = halves.chunk(2, -1)
    return (update * (reset * eco_a - 1) + 2) * positions
