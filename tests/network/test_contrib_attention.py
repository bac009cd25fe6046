"""onnxruntime's attention operators, against onnxruntime."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[Tensor]]
B, S, N, H = 2, 5, 3, 4
D = N * H
P = 3


def whole(*numbers: object) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int32)


def masks(steps: int, keys: int) -> dict[str, Tensor]:
    """Return a mask of every form that onnxruntime's CPU build takes."""
    rows = torch.ones(B, keys, dtype=torch.int32)
    rows[0, -2:] = 0
    return {
        "ends": whole(keys - 2, keys),
        "ends and starts": whole(keys - 1, keys, 1, 0),
        "keys": rows,
        "pairs": (torch.rand(B, steps, keys) > 0.3).to(torch.int32),
    }


@pytest.mark.parametrize("mask", ["", "ends", "ends and starts", "keys", "pairs"])
@pytest.mark.parametrize("unidirectional", [0, 1])
@pytest.mark.parametrize("extra", ["", "past", "bias"])
def test_self_attention_hides_what_the_mask_says(
    oracle: Oracle, gradients: Gradients, mask: str, unidirectional: int, extra: str
) -> None:
    keys = S + P if extra == "past" else S
    inputs = (
        torch.randn(B, S, 7),
        torch.randn(7, 3 * D) / 2,
        torch.randn(3 * D),
        masks(S, keys)[mask] if mask else None,
        torch.randn(2, B, N, P, H) if extra == "past" else None,
        torch.randn(B, N, S, keys) if extra == "bias" else None,
    )
    given = {"num_heads": N, "unidirectional": unidirectional}
    oracle("Attention", *inputs, outputs=2, **given)
    gradients("Attention", *inputs, outputs=2, **given)


CASES: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("scaled", {"scale": 0.3}, (3 * D,)),
    ("filled", {"mask_filter_value": -3.0}, (3 * D,)),
    ("filled and causal", {"mask_filter_value": -3.0, "unidirectional": 1}, (3 * D,)),
    ("narrow values", {"qkv_hidden_sizes": (D, D, N * 2)}, (2 * D + N * 2,)),
    ("pruned", {"qkv_hidden_sizes": (6, 6, 9)}, (21,)),
]


@pytest.mark.parametrize(("name", "given", "columns"), CASES)
@pytest.mark.parametrize("held", [(), (1, 2)])
def test_self_attention_follows_its_attributes(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle, gradients: Gradients, name: str, given: dict[str, Any], columns: tuple[int], held: tuple[int, ...]
) -> None:
    inputs = (torch.randn(B, S, 7), torch.randn(7, *columns), torch.randn(columns), masks(S, S)["keys"])
    oracle("Attention", *inputs, held=held, num_heads=N, **given)
    gradients("Attention", *inputs, num_heads=N, **given)


@pytest.mark.parametrize("shape", [(1, 1, S, S), (1, N, S, S), (B, 1, S, S)])
def test_a_bias_on_the_logits_may_repeat(oracle: Oracle, gradients: Gradients, shape: tuple[int, ...]) -> None:
    product = (torch.randn(B, S, 7), torch.randn(7, 3 * D), torch.randn(3 * D))
    oracle("Attention", *product, None, None, torch.randn(shape), num_heads=N)
    gradients("Attention", *product, None, None, torch.randn(shape), num_heads=N)
    parts = [torch.randn(B, S, D) for _ in range(3)]
    oracle("MultiHeadAttention", *parts, None, None, torch.randn(shape), num_heads=N)


@pytest.mark.parametrize("given", [{"do_rotary": 1}, {"past_present_share_buffer": 1}])
def test_what_onnxruntimes_cpu_cannot_either_is_refused(ours: Ours, given: dict[str, int]) -> None:
    with pytest.raises(UnsupportedOperator, match="rotary"):
        ours("Attention", torch.randn(B, S, D), torch.randn(D, 3 * D), torch.randn(3 * D), num_heads=N, **given)


@pytest.mark.parametrize("mask", ["", "ends", "keys", "pairs"])
@pytest.mark.parametrize("unidirectional", [0, 1])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_attention_between_projections_hides_what_the_mask_says(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    gradients: Gradients,
    mask: str,
    unidirectional: int,
    past: bool,  # noqa: FBT001
    biased: bool,  # noqa: FBT001
) -> None:
    keys = S + P if past else S
    inputs = (
        *(torch.randn(B, S, D) for _ in range(3)),
        torch.randn(3 * D) if biased else None,
        masks(S, keys)[mask] if mask else None,
        torch.randn(B, N, S, keys) if biased else None,
        *((torch.randn(B, N, P, H), torch.randn(B, N, P, H)) if past else ()),
    )
    given = {"num_heads": N, "unidirectional": unidirectional}
    oracle("MultiHeadAttention", *inputs, outputs=3, **given)
    if past == biased:
        gradients("MultiHeadAttention", *inputs, outputs=3, **given)


@pytest.mark.parametrize("form", ["steps", "heads"])
@pytest.mark.parametrize("given", [{}, {"scale": 0.3}, {"mask_filter_value": -3.0}])
@pytest.mark.parametrize("outputs", [1, 3, 4])
def test_queries_attend_to_another_sequence(
    oracle: Oracle, gradients: Gradients, form: str, given: dict[str, float], outputs: int
) -> None:
    keys = 4
    kv = (torch.randn(B, N, keys, H), torch.randn(B, N, keys, H))
    if form == "steps":
        kv = (torch.randn(B, keys, D), torch.randn(B, keys, N * 2))
    inputs = (torch.randn(B, S, D), *kv, None, masks(S, keys)["keys"])
    oracle("MultiHeadAttention", *inputs, outputs=[torch.float32] * outputs, num_heads=N, **given)
    gradients("MultiHeadAttention", *inputs, outputs=outputs, num_heads=N, **given)


def test_packed_projections_are_their_parts(ours: Ours, gradients: Gradients) -> None:
    parts = [torch.randn(B, S, D) for _ in range(3)]
    heads = [part.reshape(B, S, N, H) for part in parts]
    apart = ours("MultiHeadAttention", *parts, num_heads=N)
    torch.testing.assert_close(ours("MultiHeadAttention", torch.stack(heads, 3), num_heads=N), apart)
    packed = torch.stack(heads[1:], 3)
    torch.testing.assert_close(ours("MultiHeadAttention", parts[0], packed, num_heads=N), apart)
    side = [torch.cat(parts, -1)[:, :1], *[None] * 4, *torch.randn(2, B, N, 9, H), whole(P)]
    one = [*(part[:, :1] for part in parts), *[None] * 2, *side[5:]]
    expected = ours("DecoderMaskedMultiHeadAttention", *one, num_heads=N)
    torch.testing.assert_close(ours("DecoderMaskedMultiHeadAttention", *side, num_heads=N), expected)
    gradients("MultiHeadAttention", torch.stack(heads, 3), num_heads=N)
    gradients("MultiHeadAttention", parts[0], packed, num_heads=N)


@pytest.mark.parametrize("given", [{}, {"scale": 0.3}, {"mask_filter_value": -3.0}])
@pytest.mark.parametrize("hidden", [False, True])
def test_one_step_attends_to_another_sequence(
    oracle: Oracle, gradients: Gradients, given: dict[str, float], *, hidden: bool
) -> None:
    kv = (torch.randn(B, N, S, H), torch.randn(B, N, S, H))
    inputs = (torch.randn(B, 1, D), *kv, masks(1, S)["keys"] if hidden else None)
    oracle("DecoderMaskedMultiHeadAttention", *inputs, num_heads=N, **given)
    gradients("DecoderMaskedMultiHeadAttention", *inputs, num_heads=N, **given)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("added", [None, (1, N), (B, 1)])
def test_one_step_attends_to_those_before_it(
    oracle: Oracle,
    gradients: Gradients,
    added: tuple[int, int] | None,
    hidden: bool,  # noqa: FBT001
    biased: bool,  # noqa: FBT001
) -> None:
    inputs = (
        *(torch.randn(B, 1, D) for _ in range(3)),
        masks(1, P + 1)["keys"] if hidden else None,
        None if added is None else torch.randn(*added, 1, P + 1),
        torch.randn(B, N, 9, H),
        torch.randn(B, N, 9, H),
        whole(P),
        *([None, None, torch.randn(3 * D)] if biased else []),
    )
    given = {"num_heads": N, "past_present_share_buffer": 1}
    oracle("DecoderMaskedMultiHeadAttention", *inputs, outputs=3, **given)
    oracle("DecoderMaskedMultiHeadAttention", *inputs, outputs=[torch.float32] * 4, output_qk=1, **given)
    gradients("DecoderMaskedMultiHeadAttention", *inputs, outputs=3, **given)


BEAMS = torch.zeros(B, 1, 9, dtype=torch.int32)


@pytest.mark.parametrize(("op", "place"), [("DecoderMaskedMultiHeadAttention", 9), ("MultiHeadAttention", 9)])
def test_beams_are_refused(ours: Ours, op: str, place: int) -> None:
    inputs: list[Tensor | None] = [*(torch.randn(B, 1, D) for _ in range(3)), *[None] * (place - 3), BEAMS]
    with pytest.raises(UnsupportedOperator, match="beams"):
        ours(op, *inputs, num_heads=N)
