"""ai.onnx's attention: torch's own kernel where nobody asks for what lies between."""

import math
from dataclasses import dataclass
from functools import reduce

import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

from worker.network.dtypes import dtype
from worker.network.ops import Context, op
from worker.network.ops.heads import merged, parted

RANK = 4
"""The rank of [batch, heads, steps, width]."""
UNSEEN = 3
"""How many outputs need no logits: the values, and the keys and values that are kept."""

FLOAT = int(TensorProto.FLOAT)
HALVES = frozenset({torch.float16, torch.bfloat16})
"""Types in which each step is rounded, as the specification has it."""


@dataclass(frozen=True)
class Scope:
    """Which keys a query sees by its place: a range around it, as far as a sample has keys."""

    queries: int
    keys: int
    past: int
    lengths: Tensor | None
    """How many keys of each sample are no padding."""
    left: int
    """How many keys before its own a query sees; -1 is all of them."""
    right: int

    @property
    def plain(self) -> bool:
        """Whether each query sees itself and what is before it, and torch knows that by itself."""
        square = self.queries == self.keys and not self.past
        return square and self.right == 0 and self.left < 0 and self.lengths is None

    def hidden(self, device: torch.device) -> Tensor | None:
        """Return the keys that are hidden, [1 or batch, 1, queries, keys]; None where none is."""
        keys = torch.arange(self.keys, device=device).reshape(1, 1, 1, -1)
        own = torch.arange(self.queries, device=device).reshape(1, 1, -1, 1) + self._before(device)
        found = []
        if self.right >= 0:
            found.append(keys > own + self.right)
        if self.left >= 0:
            found.append(keys < own - self.left)
        if self.lengths is not None:
            found.append(keys >= self.lengths.to(device).reshape(-1, 1, 1, 1))
        return reduce(torch.logical_or, found) if found else None

    def _before(self, device: torch.device) -> int | Tensor:
        """Return how many keys stand before the first query."""
        if self.past or self.lengths is None:
            return self.past
        return self.lengths.to(device).reshape(-1, 1, 1, 1) - self.queries


@dataclass(frozen=True)
class Parts:
    """What attention is computed from; all [batch, heads, …]."""

    query: Tensor
    key: Tensor
    value: Tensor
    added: Tensor | None
    """Added to the logits."""
    blind: Tensor | None
    """The queries that see nothing, [batch, heads, queries, 1]: zeros come of them."""
    scale: float

    def shown(self, y: Tensor) -> Tensor:
        """Return y with zeros for the queries that see nothing."""
        return y if self.blind is None else y.masked_fill(self.blind, 0)

    def fused(self, *, causal: bool) -> Tensor:
        """Return the values, by torch's own kernel."""
        return self.shown(
            functional.scaled_dot_product_attention(
                self.query, self.key, self.value, self.added, is_causal=causal, scale=self.scale
            )
        )

    def stepwise(self, softcap: float, kind: torch.dtype, mode: int) -> tuple[Tensor, Tensor]:
        """Return the values, and the logits (raw, capped or masked, by mode) or weights that lead to them."""
        root = self.query.new_tensor(math.sqrt(self.scale))
        raw = (self.query * root) @ (self.key * root).mT
        capped = softcap * torch.tanh(raw / softcap) if softcap else raw
        logits = capped if self.added is None else capped + self.added
        weights = self.shown(_softmax(logits.to(kind))).to(raw.dtype)
        return weights @ self.value, (raw, capped, self._masked(logits), weights)[mode]

    def _masked(self, logits: Tensor) -> Tensor:
        return logits if self.blind is None else logits.masked_fill(self.blind, -torch.inf)


@op("Attention", since=23)
def attention(  # noqa: PLR0917  the specification's inputs
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    left_window_size: int = -1,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
    context: Context,
) -> tuple[Tensor, ...]:
    """Values [batch, heads, steps, width] weighed by the softmax of scaled products of queries and keys.

    Also the keys and values with those of the past before them, and what the weights are made of.
    """
    q = _heads(query, q_num_heads)
    k, v = (_heads(each, kv_num_heads) for each in (key, value))
    k, v = (new if old is None else torch.cat([old, new], 2) for old, new in ((past_key, k), (past_value, v)))
    past = 0 if past_key is None else past_key.shape[2]
    right = 0 if is_causal else right_window_size
    scope = Scope(q.shape[2], k.shape[2], past, lengths, left_window_size, right)
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    within = context.outputs > UNSEEN or bool(softcap) or softmax_precision not in {None, FLOAT} or q.dtype in HALVES
    plain = scope.plain and mask is None and not within
    added, blind = (None, None) if plain else _bias(q, mask, scope)
    parts = Parts(q, _repeated(k, q.shape[1]), _repeated(v, q.shape[1]), added, blind, factor)
    if not within:
        return _laid_out(parts.fused(causal=plain), query), k, v
    kind = q.dtype if softmax_precision is None else dtype(softmax_precision)
    y, between = parts.stepwise(softcap, kind, qk_matmul_output_mode)
    return _laid_out(y, query), k, v, between


def _softmax(x: Tensor) -> Tensor:
    if x.dtype not in HALVES:
        return torch.softmax(x, -1)
    powers = torch.exp(x - x.amax(-1, keepdim=True))
    return powers / powers.sum(-1, keepdim=True)


def _laid_out(y: Tensor, query: Tensor) -> Tensor:
    return y if query.dim() == RANK else merged(y)


def _heads(x: Tensor, count: int | None) -> Tensor:
    """Return x with its heads apart; ValueError where their number is not known."""
    if x.dim() == RANK:
        return x
    if count is None:
        msg = "the number of heads is not given"
        raise ValueError(msg)
    return parted(x, count)


def _repeated(x: Tensor, heads: int) -> Tensor:
    """Return x with each head as often as that many heads share it."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], 1)


def _bias(like: Tensor, mask: Tensor | None, scope: Scope) -> tuple[Tensor | None, Tensor | None]:
    """Return what is added to the logits, and the queries that see no key, whose logits are left as they are."""
    hidden = scope.hidden(like.device)
    if mask is None and hidden is None:
        return None, None
    added = (
        like.new_zeros(1, 1, scope.queries, scope.keys) if mask is None else _whole(mask.to(like.device), like, scope)
    )
    if hidden is not None:
        added = added.masked_fill(hidden, -torch.inf)
    blind = added.detach().amax(-1, keepdim=True) == -torch.inf
    return (added.masked_fill(blind, 0), blind) if blind.any() else (added, None)


def _whole(mask: Tensor, like: Tensor, scope: Scope) -> Tensor:
    """Return a mask of truth values or numbers as numbers [1 or batch, 1 or heads, queries, keys]."""
    numbers = torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
    room = scope.keys - mask.shape[-1]
    full = functional.pad(numbers, (0, room), value=-torch.inf) if room > 0 else numbers
    wide = full.to(like.dtype).reshape((1,) * (RANK - full.dim()) + full.shape)
    return wide.expand(*wide.shape[:2], scope.queries, scope.keys)
