"""onnxruntime's linear attention: a matrix per head remembers keys and values, step by step."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedOperator
from worker.network.ops import op
from worker.network.ops.heads import merged, parted
from worker.network.ops.standard import MICROSOFT


@op("LinearAttention", domain=MICROSOFT)
def linear_attention(  # noqa: PLR0917  the specification's inputs
    query: Tensor,
    key: Tensor,
    value: Tensor,
    past: Tensor | None = None,
    decay: Tensor | None = None,
    beta: Tensor | None = None,
    *,
    q_num_heads: int,
    kv_num_heads: int,
    chunk_size: int = 64,
    scale: float = 0.0,
    state_window: int = 0,
    update_rule: str = "gated_delta",
) -> tuple[Tensor, Tensor]:
    """s ← e^g s + k (β (v - e^g sᵀ k))ᵀ and y = scale sᵀ q.

    Without a delta rule what is written is v itself; without a gate nothing decays.
    """
    if state_window or kv_num_heads > q_num_heads:
        msg = "LinearAttention that keeps several states, or with more heads of keys than of queries, is not supported."
        raise UnsupportedOperator(msg)
    q, k, v = parted(query, q_num_heads), parted(key, kv_num_heads), parted(value, kv_num_heads)
    factor = scale or 1 / math.sqrt(q.shape[-1])
    kept = None if decay is None or "gated" not in update_rule else parted(decay, kv_num_heads).exp()
    rate = None if beta is None or "delta" not in update_rule else _per_head(beta, kv_num_heads)
    state = q.new_zeros(len(q), kv_num_heads, k.shape[-1], v.shape[-1]) if past is None else past
    shown = []
    for now in range(q.shape[2]):
        state = state if kept is None else state * kept[:, :, now, :, None]
        written = v[:, :, now]
        if rate is not None:
            written = rate[:, :, now] * (written - (k[:, :, now, None] @ state).squeeze(2))
        state = state + k[:, :, now, :, None] * written[:, :, None]
        read = state.repeat_interleave(q_num_heads // kv_num_heads, 1)
        shown.append((q[:, :, now, None] @ read).squeeze(2))
    return merged(torch.stack(shown, 2)) * factor, state


def _per_head(beta: Tensor, heads: int) -> Tensor:
    """Return rates [batch, steps, heads or 1] as [batch, heads, steps, 1]."""
    return beta.expand(-1, -1, heads).transpose(1, 2)[..., None]


@op("LinearAttentionGate", domain=MICROSOFT)
def linear_attention_gate(
    a: Tensor, bias: Tensor, scale: Tensor, b: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """The decay, scale · softplus(a + bias), and the rate, sigmoid(b)."""
    return scale * functional.softplus(a + bias), None if b is None else torch.sigmoid(b)
