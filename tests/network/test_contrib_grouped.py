"""onnxruntime's grouped attention, against onnxruntime."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[Tensor]]
B, S, N, G, H = 2, 5, 4, 2, 16


def angles() -> tuple[Tensor, Tensor]:
    turns = torch.outer(torch.arange(16.0), 10 ** -torch.linspace(0, 2, H // 2))
    return turns.cos(), turns.sin()


def whole(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int32)


def inputs(steps: int, past: int, *, packed: bool = False, batch: int = B) -> list[Tensor | None]:
    """Return the first nine inputs, for samples that are all full."""
    parts = [torch.randn(batch, steps, heads * H) for heads in (N, G, G)]
    projected = [torch.cat(parts, -1), None, None] if packed else parts
    cache = [torch.randn(batch, G, past, H), torch.randn(batch, G, past, H)] if past else [None, None]
    total = steps + past
    return [*projected, *cache, whole(*[total - 1] * batch), torch.tensor(total, dtype=torch.int32), *angles()]


VARIANTS: list[dict[str, Any]] = [
    {},
    {"do_rotary": 1},
    {"do_rotary": 1, "rotary_interleaved": 1},
    {"scale": 0.2},
    {"softcap": 1.5},
    {"local_window_size": 2},
    {"local_window_size": 2, "softcap": 1.5, "do_rotary": 1},
    {"smooth_softmax": 1},
    {"causal": 0},
]


@pytest.mark.parametrize("given", VARIANTS)
@pytest.mark.parametrize(("steps", "past", "batch"), [(S, 0, 2), (1, 6, 2), (3, 4, 1)])
@pytest.mark.parametrize("packed", [False, True])
def test_groups_of_queries_share_keys(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    gradients: Gradients,
    given: dict[str, Any],
    steps: int,
    past: int,
    batch: int,
    packed: bool,  # noqa: FBT001
) -> None:
    values = inputs(steps, past, packed=packed, batch=batch)
    heads = {"num_heads": N, "kv_num_heads": G}
    oracle("GroupQueryAttention", *values, outputs=3, **heads, **given)
    gradients("GroupQueryAttention", *values, outputs=3, **heads, **given)


HEADS = {"num_heads": N, "kv_num_heads": G}


@pytest.mark.parametrize("given", VARIANTS[:-1])
@pytest.mark.parametrize("buffer", [6, 9])
def test_samples_of_a_batch_may_be_of_different_lengths(
    oracle: Oracle, gradients: Gradients, given: dict[str, Any], buffer: int
) -> None:
    """One step each, behind four and six of the cache's."""
    values = inputs(1, buffer)
    values[5:7] = [whole(4, 6), torch.tensor(7, dtype=torch.int32)]
    oracle("GroupQueryAttention", *values, outputs=3, compared=1, **HEADS, **given)
    gradients("GroupQueryAttention", *values, **HEADS, **given)


@pytest.mark.parametrize("given", VARIANTS[:-1])
def test_a_padded_prompt_is_right_up_to_each_length(ours: Ours, given: dict[str, Any]) -> None:
    """Beyond it, onnxruntime's numbers are undefined; a prompt alone has no padding."""
    values = inputs(S, 0)
    values[5] = whole(2, S - 1)
    y, *_ = ours("GroupQueryAttention", *values, outputs=3, **HEADS, **given)
    alone = [None if each is None else each[:1, :3] for each in values[:3]]
    shorter = [*alone, None, None, whole(2), torch.tensor(3, dtype=torch.int32), *values[7:]]
    expected, *_ = ours("GroupQueryAttention", *shorter, outputs=3, **HEADS, **given)
    torch.testing.assert_close(y[:1, :3], expected)


@pytest.mark.parametrize("shape", [(1, 1), (B, 1), (1, N), (B, N)])
@pytest.mark.parametrize("given", [{}, {"softcap": 1.5}, {"local_window_size": 2}, {"smooth_softmax": 1}])
@pytest.mark.parametrize(("steps", "past"), [(S, 0), (1, 6)])
def test_a_bias_is_added_to_the_logits(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle, gradients: Gradients, shape: tuple[int, int], given: dict[str, Any], steps: int, past: int
) -> None:
    values = [*inputs(steps, past), None, torch.randn(*shape, steps, steps + past)]
    oracle("GroupQueryAttention", *values, outputs=3, compared=1, **HEADS, **given)
    gradients("GroupQueryAttention", *values, **HEADS, **given)


@pytest.mark.parametrize(("steps", "past"), [(S, 0), (1, 6)])
def test_a_sink_takes_its_share_of_each_head(oracle: Oracle, gradients: Gradients, steps: int, past: int) -> None:
    values = [*inputs(steps, past), None, None, torch.randn(N)]
    oracle("GroupQueryAttention", *values, outputs=3, compared=1, **HEADS)
    gradients("GroupQueryAttention", *values, **HEADS)


@pytest.mark.parametrize("interleaved", [0, 1])
def test_positions_may_be_given(oracle: Oracle, gradients: Gradients, interleaved: int) -> None:
    values = [*inputs(1, 6), torch.tensor([[3], [9]])]
    oracle("GroupQueryAttention", *values, outputs=3, compared=1, **HEADS, do_rotary=1, rotary_interleaved=interleaved)
    gradients("GroupQueryAttention", *values, **HEADS, do_rotary=1, rotary_interleaved=interleaved)


@pytest.mark.parametrize("given", [{}, {"softcap": 1.5}, {"smooth_softmax": 1}])
@pytest.mark.parametrize("which", [1, 2])
def test_logits_and_weights_can_be_looked_at(oracle: Oracle, given: dict[str, Any], which: int) -> None:
    values = inputs(1, 6)
    kinds = [torch.float32] * 4
    oracle("GroupQueryAttention", *values, outputs=kinds, qk_output=which, **HEADS, **given)


def test_queries_and_keys_may_be_normalized_first(ours: Ours, gradients: Gradients) -> None:
    """onnxruntime's CPU build refuses these two inputs; the specification says what they do."""
    values = [*inputs(S, 0), *[None] * 5, torch.randn(H), torch.randn(H)]

    def normalized(x: Tensor, scale: Tensor) -> Tensor:
        heads = x.reshape(B, S, -1, H)
        return (heads * torch.rsqrt(heads.square().mean(-1, keepdim=True) + 1e-6) * scale).reshape(x.shape)

    query, key, *rest = values
    plain = [normalized(query, values[14]), normalized(key, values[15]), *rest[:7]]  # type: ignore[arg-type]
    expected = ours("GroupQueryAttention", *plain, **HEADS, do_rotary=1)
    torch.testing.assert_close(ours("GroupQueryAttention", *values, **HEADS, do_rotary=1), expected)
    gradients("GroupQueryAttention", *values, **HEADS, do_rotary=1)


@pytest.mark.parametrize("given", [{"k_quant_type": "PER_TENSOR"}, {"sliding_window_cache": 1, "local_window_size": 2}])
def test_a_cache_of_another_kind_is_refused(ours: Ours, given: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedOperator, match="cache"):
        ours("GroupQueryAttention", *inputs(S, 0), **HEADS, **given)
