"""What attention operators share: heads, masks, the weighing of values, and turning by position."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Seen(NamedTuple):
    """What attention gives."""

    values: Tensor
    """[batch, heads, queries, width]"""
    logits: Tensor
    """[batch, heads, queries, keys], scaled and masked"""
    weights: Tensor
    """[batch, heads, queries, keys], their softmax"""


def parted(x: Tensor, heads: int) -> Tensor:
    """Return [batch, steps, heads · width] as [batch, heads, steps, width]."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def merged(x: Tensor) -> Tensor:
    """Return [batch, heads, steps, width] as [batch, steps, heads · width]."""
    return x.transpose(1, 2).flatten(2)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    added: Tensor | None = None,
    *,
    scale: float = 0.0,
    softcap: float = 0.0,
    sink: Tensor | None = None,
) -> Seen:
    """Weigh values by the softmax of scale · query · keyᵀ + `added`; a scale of 0 is 1 / √width.

    Logits are squashed to ±`softcap` where it is given; `sink`, one number per head, is the logit of a value of zeros.
    """
    logits = query @ key.mT * (scale or 1 / math.sqrt(query.shape[-1]))
    if softcap:
        logits = softcap * torch.tanh(logits / softcap)
    if added is not None:
        logits = logits + added
    weights = torch.softmax(logits, -1) if sink is None else _with_sink(logits, sink)
    return Seen(weights @ value, logits, weights)


def _with_sink(logits: Tensor, sink: Tensor) -> Tensor:
    beside = sink.to(logits.dtype).reshape(1, -1, 1, 1).expand(*logits.shape[:-1], 1)
    return torch.softmax(torch.cat([logits, beside], -1), -1)[..., :-1]


def masked(like: Tensor, mask: Tensor | None, keys: int, filler: float) -> Tensor | None:
    """Return what to add to logits [batch, heads, queries, keys] of queries `like`: `filler` where a key is hidden.

    The mask has one number per key [batch, keys] or per pair [batch, queries, keys], or holds each sample's
    exclusive end and perhaps, behind all of those, each one's start.
    """
    if mask is None:
        return None
    batch = len(like)
    if mask.dim() == 1:
        places = torch.arange(keys, device=mask.device)
        shown = places < mask[:batch, None]
        if len(mask) == 2 * batch:
            shown = shown & (places >= mask[batch:, None])
    else:
        shown = mask > 0
    wide = shown if shown.dim() > 2 else shown[:, None]  # noqa: PLR2004  [batch, keys]
    return torch.where(wide[:, None].to(like.device), 0.0, filler).to(like.dtype)


def earlier(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return which keys [queries, keys] are no later than a query, where the last of both are one."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def causal(like: Tensor, added: Tensor | None, keys: int) -> Tensor:
    """Return `added` with the lowest number there is in place of what hides later keys from queries `like`."""
    lowest = like.new_full((), torch.finfo(like.dtype).min)
    shown = earlier(like.shape[-2], keys, like.device)
    return torch.where(shown, torch.zeros_like(lowest) if added is None else added, lowest)


def turned(x: Tensor, cosines: Tensor, sines: Tensor, *, interleaved: bool) -> Tensor:
    """Return [batch, heads, steps, width] with pairs of the first features turned by angles [batch, steps, pairs]."""
    pairs = cosines.shape[-1]
    c, s = (each.to(x.dtype).unsqueeze(1) for each in (cosines, sines))
    rotary, rest = x[..., : 2 * pairs], x[..., 2 * pairs :]
    real, imaginary = (rotary[..., 0::2], rotary[..., 1::2]) if interleaved else rotary.chunk(2, -1)
    both = real * c - imaginary * s, real * s + imaginary * c
    whole = torch.stack(both, -1).flatten(-2) if interleaved else torch.cat(both, -1)
    return torch.cat([whole, rest], -1)
