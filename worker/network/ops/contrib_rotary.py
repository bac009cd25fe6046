"""onnxruntime's rotary embeddings."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.network.ops import beside, op
from worker.network.ops.heads import merged, parted, turned
from worker.network.ops.standard import MICROSOFT

THIRD = 3
"""Time, height and width take turns."""


@op("RotaryEmbedding", domain=MICROSOFT)
def rotary_embedding(
    x: Tensor,
    positions: Tensor,
    cosines: Tensor,
    sines: Tensor,
    *,
    interleaved: int = 0,
    is_packed_batching: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
    scale: float = 1.0,
) -> Tensor:
    """Pairs of each head's features turned by the angles of their positions; one position is that of the first step."""
    heads = _heads(x, num_heads, cosines)
    steps = heads.shape[2]
    where = positions
    if positions.numel() == 1:
        where = positions.reshape(1, 1) + torch.arange(steps, device=positions.device)
    (where,) = beside(x, where.reshape(-1, steps))
    y = turned(heads, cosines[where], sines[where], interleaved=bool(interleaved))
    return y if x.dim() == y.dim() else merged(y)


def _heads(x: Tensor, heads: int, cosines: Tensor) -> Tensor:
    """Return x as [batch, heads, steps, width]; without a number of heads, a head is as wide as the angles turn."""
    if x.dim() > 3:  # noqa: PLR2004  [batch, steps, features]
        return x
    return parted(x, heads or x.shape[-1] // (2 * cosines.shape[-1]))


@op("MRotaryEmbedding", domain=MICROSOFT)
def multimodal_rotary_embedding(
    x: Tensor,
    positions: Tensor,
    cosines: Tensor,
    sines: Tensor,
    *,
    mrope_section: Sequence[int],
    interleaved: int = 0,
    is_packed_batching: int = 0,
    mrope_layout: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
    scale: float = 1.0,
) -> Tensor:
    """Pairs of features turned by the position in time, height or width [3, batch, steps] that their section reads."""
    heads = _heads(x, num_heads, cosines)
    (where,) = beside(x, positions)
    reads = _sections(mrope_section, taking_turns=bool(mrope_layout)).to(x.device)
    pairs = torch.arange(len(reads), device=x.device)
    chosen = where[reads].permute(1, 2, 0)
    y = turned(heads, cosines[chosen, pairs], sines[chosen, pairs], interleaved=bool(interleaved))
    return y if x.dim() == y.dim() else merged(y)


def _sections(sizes: Sequence[int], *, taking_turns: bool) -> Tensor:
    """Return which of time, height and width each pair reads."""
    if not taking_turns:
        return torch.arange(len(sizes)).repeat_interleave(torch.tensor(list(sizes)))
    reads = torch.zeros(sum(sizes), dtype=torch.int64)
    for axis, size in list(enumerate(sizes))[1:]:
        reads[axis : THIRD * size : THIRD] = axis
    return reads
