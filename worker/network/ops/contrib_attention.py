"""onnxruntime's attention operators for as many heads of keys as of queries."""

from collections.abc import Sequence

import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator
from worker.network.ops import op
from worker.network.ops.heads import attend, causal, masked, merged, parted
from worker.network.ops.standard import MICROSOFT

FILLER = -10000.0
"""The logit of a masked key where the file says no other."""
Qkv = tuple[Tensor, Tensor, Tensor]


@op("Attention", domain=MICROSOFT)
def attention(  # noqa: PLR0917  the specification's inputs
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    past: Tensor | None = None,
    added: Tensor | None = None,
    past_length: Tensor | None = None,
    *,
    num_heads: int,
    do_rotary: int = 0,
    mask_filter_value: float = FILLER,
    past_present_share_buffer: int = 0,
    qkv_hidden_sizes: Sequence[int] | None = None,
    rotary_embedding_dim: int = 0,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> tuple[Tensor | None, ...]:
    """Self-attention of x [batch, steps, features], whose queries, keys and values are one product with the weights."""
    if do_rotary or past_present_share_buffer:
        msg = "Attention with rotary embeddings or with a shared buffer is not supported."
        raise UnsupportedOperator(msg)
    sizes = list(qkv_hidden_sizes or [weights.shape[1] // 3] * 3)
    product = x @ weights if bias is None else x @ weights + bias
    query, key, value = (parted(part, num_heads) for part in torch.split(product, sizes, -1))
    if past is not None:
        key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
    shown = _hidden(query, key, mask, added, filler=mask_filter_value, unidirectional=bool(unidirectional))
    present = torch.stack([key, value]) if key.shape == value.shape else None
    return merged(attend(query, key, value, shown, scale=scale).values), present


def _hidden(
    query: Tensor, key: Tensor, mask: Tensor | None, added: Tensor | None, *, filler: float, unidirectional: bool
) -> Tensor | None:
    """Return what is added to the logits: the file's own bias, and large negative numbers where a key is hidden."""
    keys = key.shape[2]
    shown = masked(query, mask, keys, filler)
    if unidirectional and query.shape[2] > 1:
        shown = causal(query, shown, keys)
    return shown if added is None else added if shown is None else shown + added


@op("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(  # noqa: PLR0917  the specification's inputs
    query: Tensor,
    key: Tensor | None = None,
    value: Tensor | None = None,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    added: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    past_length: Tensor | None = None,
    cache_indirection: Tensor | None = None,
    *,
    num_heads: int,
    mask_filter_value: float = FILLER,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> tuple[Tensor, ...]:
    """Attention of queries to keys and values, with the bias of their projections; also all keys, values and logits."""
    if cache_indirection is not None or past_length is not None:
        msg = "MultiHeadAttention with a shared buffer or beams is not supported."
        raise UnsupportedOperator(msg)
    q, k, v = _biased(_unpacked(query, key, value, num_heads), bias)
    if past_key is not None and past_value is not None:
        k, v = torch.cat([past_key, k], 2), torch.cat([past_value, v], 2)
    shown = _hidden(q, k, mask, added, filler=mask_filter_value, unidirectional=bool(unidirectional))
    seen = attend(q, k, v, shown, scale=scale)
    return merged(seen.values), k, v, seen.logits


def _unpacked(query: Tensor, key: Tensor | None, value: Tensor | None, heads: int) -> Qkv:
    """Return queries, keys and values [batch, heads, steps, width], however they are packed together."""
    if key is None and query.dim() == 3:  # noqa: PLR2004  [batch, steps, features]
        query, key, value = query.chunk(3, -1)
    if key is None:
        q, k, v = (each.transpose(1, 2) for each in query.unbind(3))
        return q, k, v
    if value is None:
        k, v = (each.transpose(1, 2) for each in key.unbind(3))
        return parted(query, heads), k, v
    k, v = (parted(each, heads) if each.dim() < 4 else each for each in (key, value))  # noqa: PLR2004  not apart yet
    return parted(query, heads), k, v


def _biased(parts: Qkv, bias: Tensor | None) -> Qkv:
    """Return queries, keys and values with their parts of the bias added, head by head."""
    if bias is None:
        return parts
    sizes = [each.shape[1] * each.shape[3] for each in parts]
    q, k, v = (
        each + own.reshape(each.shape[1], 1, -1) for each, own in zip(parts, torch.split(bias, sizes), strict=True)
    )
    return q, k, v


@op("DecoderMaskedMultiHeadAttention", domain=MICROSOFT)
def decoder_masked_multi_head_attention(  # noqa: PLR0917  the specification's inputs
    query: Tensor,
    key: Tensor | None = None,
    value: Tensor | None = None,
    mask: Tensor | None = None,
    added: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    past_length: Tensor | None = None,
    beam_width: Tensor | None = None,
    cache_indirection: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    num_heads: int,
    mask_filter_value: float = FILLER,
    output_qk: int = 0,
    past_present_share_buffer: int = 0,
    scale: float = 0.0,
) -> tuple[Tensor, ...]:
    """Attention of one step to another sequence, or to the steps before it, which lie in buffers with room for more."""
    if cache_indirection is not None:
        msg = "DecoderMaskedMultiHeadAttention with beams is not supported."
        raise UnsupportedOperator(msg)
    q, k, v = _biased(_unpacked(query, key, value, num_heads), bias)
    present_key, present_value = k, v
    if past_key is not None and past_value is not None and past_length is not None:
        start = int(past_length)
        present_key, present_value = _written(past_key, k, start), _written(past_value, v, start)
        k, v = present_key[:, :, : start + 1], present_value[:, :, : start + 1]
    shown = _hidden(q, k, mask, added, filler=mask_filter_value, unidirectional=False)
    seen = attend(q, k, v, shown, scale=scale)
    return merged(seen.values), present_key, present_value, seen.logits


def _written(buffer: Tensor, new: Tensor, start: int) -> Tensor:
    """Return the buffer with one more step in it."""
    return torch.cat([buffer[:, :, :start], new, buffer[:, :, start + 1 :]], 2)
