"""onnxruntime's mixture of experts."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedOperator
from worker.network.ops import op
from worker.network.ops.standard import MICROSOFT

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": partial(functional.gelu, approximate="tanh"),
    "identity": lambda x: x,
    "relu": torch.relu,
    "silu": functional.silu,
}


@op("MoE", domain=MICROSOFT)
def mixture_of_experts(  # noqa: PLR0917  the specification's inputs
    x: Tensor,
    routes: Tensor,
    first: Tensor,
    first_bias: Tensor | None,
    second: Tensor,
    second_bias: Tensor | None = None,
    third: Tensor | None = None,
    third_bias: Tensor | None = None,
    *,
    activation_alpha: float = 1.0,
    activation_beta: float = 0.0,
    activation_type: str = "relu",
    k: int = 1,
    normalize_routing_weights: int = 0,
    swiglu_fusion: int = 0,
    swiglu_limit: float = math.inf,
    use_sparse_mixer: int = 0,
) -> Tensor:
    """Two dense layers of each of the k experts whose routes are the most probable, weighed by these and added."""
    if use_sparse_mixer:
        msg = "MoE with a sparse mixer is not supported."
        raise UnsupportedOperator(msg)
    tokens = x.reshape(-1, x.shape[-1])
    wide = _dense(tokens, first, first_bias)
    if activation_type == "swiglu":
        inner = _gated(wide, swiglu_fusion, (activation_alpha, activation_beta, swiglu_limit))
    else:
        inner = ACTIVATIONS[activation_type](wide)
    if third is not None:
        inner = inner * _dense(tokens, third, third_bias)
    outputs = torch.einsum("eti,eoi->teo", inner, second)
    outputs = outputs if second_bias is None else outputs + second_bias
    shares = _shares(routes, k, whole=bool(normalize_routing_weights))
    return torch.einsum("te,teo->to", shares, outputs).reshape(x.shape)


def _dense(tokens: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return every expert's layer of every token [experts, tokens, features]."""
    y = torch.einsum("ti,eoi->eto", tokens, weight)
    return y if bias is None else y + bias[:, None]


def _gated(wide: Tensor, fusion: int, settings: tuple[float, float, float]) -> Tensor:
    """Return half of the features, shifted, times the other, squashed: side by side, or in turns (`fusion` 1)."""
    alpha, beta, limit = settings
    gate, plain = (wide[..., ::2], wide[..., 1::2]) if fusion == 1 else wide.chunk(2, -1)
    gate, plain = gate.clamp(max=limit), plain.clamp(-limit, limit)
    return gate * torch.sigmoid(alpha * gate) * (plain + beta)


def _shares(routes: Tensor, k: int, *, whole: bool) -> Tensor:
    """Return each expert's share in each token [tokens, experts]: zero but for the k largest, which may add up to 1."""
    shares = torch.softmax(routes, -1)
    chosen = shares.topk(k, -1)
    kept = torch.zeros_like(shares).scatter(-1, chosen.indices, chosen.values)
    return kept / kept.sum(-1, keepdim=True) if whole else kept
