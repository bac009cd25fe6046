"""onnxruntime's attention for fewer heads of keys than of queries, with a cache of keys and values."""

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedOperator
from worker.network.ops import beside, op
from worker.network.ops.heads import attend, merged, parted, turned
from worker.network.ops.standard import MICROSOFT, standard

AFTER = 2
"""What `qk_output` calls the weights, after the softmax."""


@op("GroupQueryAttention", domain=MICROSOFT)
def group_query_attention(  # noqa: PLR0917  the specification's inputs
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    past_key: Tensor | None,
    past_value: Tensor | None,
    lengths: Tensor,
    total: Tensor,
    cosines: Tensor | None = None,
    sines: Tensor | None = None,
    positions: Tensor | None = None,
    added: Tensor | None = None,
    sink: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    q_norm: Tensor | None = None,
    k_norm: Tensor | None = None,
    *,
    num_heads: int,
    kv_num_heads: int,
    causal: int = 1,
    do_rotary: int = 0,
    k_quant_type: str = "NONE",
    kv_cache_bit_width: int = 0,
    local_window_size: int = -1,
    qk_norm_epsilon: float = 1e-6,
    qk_output: int = 0,
    rotary_interleaved: int = 0,
    scale: float = 0.0,
    sliding_window_cache: int = 0,
    smooth_softmax: int = 0,
    softcap: float = 0.0,
    v_quant_type: str = "NONE",
) -> tuple[Tensor, ...]:
    """Attention in which a group of queries shares a head of keys, with the cache that holds these and the logits.

    `lengths` are the samples' own, less one; what a sample's last steps beyond its length see is undefined.
    """
    if sliding_window_cache or {k_quant_type, v_quant_type} != {"NONE"}:
        msg = "GroupQueryAttention with a quantized or sliding cache is not supported."
        raise UnsupportedOperator(msg)
    q, k, v = _heads(query, key, value, num_heads, kv_num_heads)
    if q_norm is not None and k_norm is not None:
        q, k = (standard("RMSNormalization")(*each, epsilon=qk_norm_epsilon) for each in ((q, q_norm), (k, k_norm)))
    steps = q.shape[2]
    (ends,) = beside(q, lengths.reshape(-1).to(torch.int64) + 1)
    starts = torch.zeros_like(ends) if steps == int(total) else ends - steps
    places = starts[:, None] + torch.arange(steps, device=q.device)
    if do_rotary and cosines is not None and sines is not None:
        (where,) = beside(q, places if positions is None else positions)
        angles = cosines[where], sines[where]
        q, k = (turned(each, *angles, interleaved=bool(rotary_interleaved)) for each in (q, k))
    keys, values = (_cached(*each, places, int(total)) for each in ((past_key, k), (past_value, v)))
    hidden = _hidden(q, places, ends, keys.shape[2], window=local_window_size, causal=bool(causal))
    if added is not None:
        hidden = hidden + functional.pad(added, [0, keys.shape[2] - added.shape[3]])
    group = num_heads // kv_num_heads
    seen = attend(
        q,
        keys.repeat_interleave(group, 1),
        values.repeat_interleave(group, 1),
        hidden,
        scale=scale,
        softcap=softcap,
        sink=q.new_zeros(num_heads) if sink is None and smooth_softmax == 1 else sink,
    )
    return merged(seen.values), keys, values, seen.weights if qk_output == AFTER else seen.logits


def _heads(
    query: Tensor, key: Tensor | None, value: Tensor | None, heads: int, shared: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values [batch, heads, steps, width], which one input may hold side by side."""
    if key is None or value is None:
        width = query.shape[-1] // (heads + 2 * shared)
        query, key, value = torch.split(query, [heads * width, shared * width, shared * width], -1)
    return parted(query, heads), parted(key, shared), parted(value, shared)


def _cached(past: Tensor | None, new: Tensor, places: Tensor, total: int) -> Tensor:
    """Return the past with the new steps written to their places, at least `total` steps long."""
    batch, heads, _, width = new.shape
    held = new.new_zeros(batch, heads, 0, width) if past is None else past
    longer = functional.pad(held, [0, 0, 0, max(0, total - held.shape[2])]).transpose(1, 2)
    samples = torch.arange(batch, device=new.device)[:, None].expand_as(places)
    return longer.index_put((samples, places), new.transpose(1, 2)).transpose(1, 2)


def _hidden(query: Tensor, places: Tensor, ends: Tensor, keys: int, *, window: int, causal: bool) -> Tensor:
    """Return the lowest number there is where a key lies beyond the sample's end, after the query, or too early."""
    at = torch.arange(keys, device=query.device)
    shown = (at < ends[:, None])[:, None].expand(-1, places.shape[1], -1)
    if causal:
        shown = shown & (at <= places[..., None])
    if window > 0:
        shown = shown & (at > places[..., None] - window)
    lowest = query.new_full((), torch.finfo(query.dtype).min)
    return torch.where(shown, torch.zeros_like(lowest), lowest)[:, None]
