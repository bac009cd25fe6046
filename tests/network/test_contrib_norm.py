"""onnxruntime's normalizations, against onnxruntime; those it has no kernel for, against torch's own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[Tensor]]


@pytest.mark.parametrize("axis", [-1, 1, 0])
@pytest.mark.parametrize("shifted", [False, True])
def test_layer_normalization_of_before_it_was_onnxs(
    oracle: Oracle, gradients: Gradients, axis: int, *, shifted: bool
) -> None:
    x = 3 * torch.randn(2, 3, 4) + 1
    scale = torch.randn(x.shape[axis:])
    inputs = (x, scale, torch.randn(x.shape[axis:]) if shifted else None)
    oracle("LayerNormalization", *inputs, outputs=3, domain="", version=12, axis=axis, epsilon=1e-3)
    gradients("LayerNormalization", *inputs, domain="", version=12, axis=axis, epsilon=1e-3)


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.float64])
def test_a_simplified_layer_normalization_divides_by_the_root_mean_square(
    oracle: Oracle, gradients: Gradients, axis: int, kind: torch.dtype
) -> None:
    x = (3 * torch.randn(2, 3, 4) + 1).to(kind)
    scale = torch.randn(x.shape[axis:]).to(kind)
    outputs, tolerance = (1, 2e-3) if kind == torch.float16 else (2, 2e-5)
    oracle("SimplifiedLayerNormalization", x, scale, outputs=outputs, tolerance=tolerance, domain="", axis=axis)
    gradients("SimplifiedLayerNormalization", x, scale, domain="", axis=axis, epsilon=1e-4)


SKIPS = [(2, 3, 8), (1, 3, 8), (3, 8)]


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("given", ["", "beta", "bias", "beta bias"])
def test_the_skip_is_added_before_the_norm(
    oracle: Oracle, gradients: Gradients, skip: tuple[int, ...], given: str
) -> None:
    beta = torch.randn(8) if "beta" in given else None
    bias = torch.randn(8) if "bias" in given else None
    inputs = (torch.randn(2, 3, 8), torch.randn(skip), torch.randn(8), beta, bias)
    oracle("SkipLayerNormalization", *inputs, epsilon=1e-3)
    gradients("SkipLayerNormalization", *inputs, epsilon=1e-3)
    simple = (*inputs[:3], bias)
    oracle("SkipSimplifiedLayerNormalization", *simple)
    gradients("SkipSimplifiedLayerNormalization", *simple, epsilon=1e-4)


@pytest.mark.parametrize("op", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_the_sum_is_the_fourth_output(ours: Ours, op: str) -> None:
    x, skip, gamma = torch.randn(2, 3, 8), torch.randn(2, 3, 8), torch.ones(8)
    *_, total = ours(op, x, skip, gamma, outputs=4)
    torch.testing.assert_close(total, x + skip)


def embedding(mask: Tensor | None, ids: Tensor | None, *, segments: bool) -> tuple[Tensor | None, ...]:
    words = torch.randint(0, 11, (2, 5), dtype=torch.int32)
    parts = torch.randint(0, 2, (2, 5), dtype=torch.int32) if segments else None
    tables = (torch.randn(11, 8), torch.randn(6, 8), torch.randn(2, 8) if segments else None)
    return words, parts, *tables, torch.randn(8), torch.randn(8), mask, ids


MASK = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.int32)
IDS = torch.tensor([[5, 4, 3, 2, 1]], dtype=torch.int32)


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("ids", [None, IDS, IDS.repeat(2, 1)])
def test_embeddings_are_added_and_normalized(
    oracle: Oracle, gradients: Gradients, mask: Tensor | None, ids: Tensor | None, *, segments: bool
) -> None:
    inputs = embedding(mask, ids, segments=segments)
    oracle("EmbedLayerNormalization", *inputs, outputs=3, epsilon=1e-4)
    gradients("EmbedLayerNormalization", *inputs, outputs=3, epsilon=1e-4)


def test_one_output_of_an_embedding_is_enough(oracle: Oracle) -> None:
    oracle("EmbedLayerNormalization", *embedding(MASK, None, segments=True), outputs=2, mask_index_type=1)
    oracle("EmbedLayerNormalization", *embedding(None, None, segments=True), mask_index_type=0)


@pytest.mark.parametrize("activation", ["silu", "swish", "sigmoid"])
def test_a_gate_opens_after_the_root_mean_square(oracle: Oracle, gradients: Gradients, activation: str) -> None:
    inputs = (torch.randn(2, 3, 8), torch.randn(4), torch.randn(2, 3, 8))
    oracle("GatedRMSNorm", *inputs, activation=activation, epsilon=1e-4)
    gradients("GatedRMSNorm", *inputs, activation=activation, epsilon=1e-4)


@pytest.mark.parametrize(("shape", "branches"), [((2, 3, 4), 0), ((2, 12), 3)])
@pytest.mark.parametrize("scale", [None, (12,), (3, 4), (4,)])
def test_branches_are_normalized_each(
    oracle: Oracle, gradients: Gradients, shape: tuple[int, ...], branches: int, scale: tuple[int, ...] | None
) -> None:
    inputs = (torch.randn(shape), None if scale is None else torch.randn(scale))
    given = {"num_branches": branches} if branches else {}
    oracle("BranchwiseRMSNorm", *inputs, **given)
    gradients("BranchwiseRMSNorm", *inputs, **given)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("activation", [0, 1])
def test_a_group_norm_is_torchs(ours: Ours, gradients: Gradients, last: int, activation: int) -> None:
    x, gamma, beta = torch.randn(2, 6, 3, 4), torch.randn(6), torch.randn(6)
    y = functional.group_norm(x, 3, gamma, beta, 1e-3)
    expected = functional.silu(y) if activation else y
    laid = x.movedim(1, -1) if last else x
    given = {"groups": 3, "activation": activation, "channels_last": last, "epsilon": 1e-3}
    torch.testing.assert_close(
        ours("GroupNorm", laid, gamma, beta, **given)[0], expected.movedim(1, -1) if last else expected
    )
    gradients("GroupNorm", laid.contiguous(), gamma, beta, **given)


@pytest.mark.parametrize("skip", [(2, 3, 4, 6), (2, 1, 1, 6), (2, 6)])
@pytest.mark.parametrize("biased", [False, True])
def test_the_skip_is_added_before_the_group_norm(
    ours: Ours, gradients: Gradients, skip: tuple[int, ...], *, biased: bool
) -> None:
    x, gamma, beta, added = torch.randn(2, 3, 4, 6), torch.randn(6), torch.randn(6), torch.randn(skip)
    bias = torch.randn(6) if biased else None
    whole = x + (added[:, None, None] if len(skip) == 2 else added) + (0 if bias is None else bias)
    y, total = ours("SkipGroupNorm", x, gamma, beta, added, bias, outputs=2, groups=2, activation=0)
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(y, functional.group_norm(whole.movedim(-1, 1), 2, gamma, beta).movedim(1, -1))
    gradients("SkipGroupNorm", x, gamma, beta, added, bias, outputs=2, groups=2, activation=1)
