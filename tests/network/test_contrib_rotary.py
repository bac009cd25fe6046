"""onnxruntime's rotary embeddings, against onnxruntime."""

from collections.abc import Callable

import pytest
import torch

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Shape = tuple[int, ...]


def angles(pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
    turns = torch.outer(torch.arange(12.0), 10 ** -torch.linspace(0, 2, pairs))
    return turns.cos(), turns.sin()


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((2, 5, 24), {}),
        ((2, 3, 5, 8), {}),
        ((2, 5, 24), {"num_heads": 3, "rotary_embedding_dim": 4}),
        ((2, 3, 5, 8), {"num_heads": 3, "rotary_embedding_dim": 4}),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_pairs_are_turned_by_their_position(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    gradients: Gradients,
    interleaved: int,
    shape: Shape,
    attributes: dict[str, int],
    first: bool,  # noqa: FBT001
) -> None:
    positions = torch.tensor([3]) if first else torch.randint(0, 12, (2, 5))
    inputs = (torch.randn(shape), positions, *angles(attributes.get("rotary_embedding_dim", 8) // 2))
    oracle("RotaryEmbedding", *inputs, interleaved=interleaved, **attributes)
    gradients("RotaryEmbedding", *inputs, interleaved=interleaved, **attributes)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((2, 5, 24), {"num_heads": 3}),
        ((2, 3, 5, 8), {}),
        ((2, 5, 36), {"num_heads": 3, "rotary_embedding_dim": 8}),
    ],
)
def test_pairs_are_turned_by_time_height_or_width(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle, gradients: Gradients, interleaved: int, layout: int, shape: Shape, attributes: dict[str, int]
) -> None:
    inputs = (torch.randn(shape), torch.randint(0, 12, (3, 2, 5)), *angles(4))
    given = {"interleaved": interleaved, "mrope_layout": layout, "mrope_section": (2, 1, 1), **attributes}
    oracle("MRotaryEmbedding", *inputs, **given)
    gradients("MRotaryEmbedding", *inputs, **given)
