"""onnxruntime's mixture of experts and linear attention, against onnxruntime."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[Tensor]]
E, D, W = 4, 6, 5
"""Experts, features, and features between an expert's layers."""


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "identity"])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("whole", [0, 1])
@pytest.mark.parametrize("biased", [False, True])
def test_tokens_go_to_the_likeliest_experts(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    gradients: Gradients,
    activation: str,
    k: int,
    whole: int,
    biased: bool,  # noqa: FBT001
) -> None:
    biases = [torch.randn(E, W), torch.randn(E, D)] if biased else [None, None]
    inputs = (torch.randn(2, 3, D), torch.randn(6, E), torch.randn(E, W, D), biases[0], torch.randn(E, D, W), biases[1])
    given = {"activation_type": activation, "k": k, "normalize_routing_weights": whole}
    oracle("MoE", *inputs, **given)
    gradients("MoE", *inputs, **given)


@pytest.mark.parametrize("given", [{}, {"activation_alpha": 1.7, "activation_beta": 1.0, "swiglu_limit": 0.8}])
def test_half_of_the_features_may_be_a_gate(
    oracle: Oracle, ours: Ours, gradients: Gradients, given: dict[str, Any]
) -> None:
    inputs = (torch.randn(6, D), torch.randn(6, E), torch.randn(E, 2 * W, D), torch.randn(E, 2 * W))
    inputs = (*inputs, torch.randn(E, D, W))
    turns = {"activation_type": "swiglu", "swiglu_fusion": 1, "k": 2, **given}
    oracle("MoE", *inputs, **turns)
    gradients("MoE", *inputs, **turns)
    x, routes, first, bias, second = inputs
    halves = [torch.cat([each[:, ::2], each[:, 1::2]], 1) for each in (first, bias)]
    side = ours("MoE", x, routes, halves[0], halves[1], second, **{**turns, "swiglu_fusion": 2})
    torch.testing.assert_close(side, ours("MoE", *inputs, **turns))


def test_a_sparse_mixer_is_refused(ours: Ours) -> None:
    inputs = (torch.randn(6, D), torch.randn(6, E), torch.randn(E, W, D), None, torch.randn(E, D, W))
    with pytest.raises(UnsupportedOperator, match="sparse mixer"):
        ours("MoE", *inputs, use_sparse_mixer=1)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("heads", [2, 4])
@pytest.mark.parametrize("each", [False, True])
def test_a_state_remembers_keys_and_values(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    gradients: Gradients,
    rule: str,
    past: bool,  # noqa: FBT001
    heads: int,
    each: bool,  # noqa: FBT001
) -> None:
    batch, steps, width, values = 2, 4, 3, 5
    keys = torch.nn.functional.normalize(torch.randn(batch, steps, 2, width), dim=-1).flatten(2)
    decay = -torch.rand(batch, steps, 2 * width if each else 2) if "gated" in rule else None
    beta = torch.rand(batch, steps, 2 if each else 1) if "delta" in rule else None
    state = torch.randn(batch, 2, width, values) if past else None
    inputs = (torch.randn(batch, steps, heads * width), keys, torch.randn(batch, steps, 2 * values), state, decay, beta)
    given = {"update_rule": rule, "q_num_heads": heads, "kv_num_heads": 2, **({"scale": 0.3} if past else {})}
    oracle("LinearAttention", *inputs, outputs=2, **given)
    gradients("LinearAttention", *inputs, outputs=2, **given)


@pytest.mark.parametrize("rated", [False, True])
def test_gates_of_linear_attention_are_squashed(oracle: Oracle, gradients: Gradients, *, rated: bool) -> None:
    inputs = (torch.randn(2, 3, 4), torch.randn(4), -torch.rand(4), *([torch.randn(2, 3, 4)] if rated else []))
    oracle("LinearAttentionGate", *inputs, outputs=1 + rated)
    gradients("LinearAttentionGate", *inputs, outputs=1 + rated)
