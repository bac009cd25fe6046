"""Biases by position, which onnxruntime computes on GPUs alone, against their definitions."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator

Gradients = Callable[..., None]
Ours = Callable[..., list[Tensor]]


def bucket(apart: int, count: int, furthest: int, *, both: bool) -> int:
    """Return the bucket of one distance, as the paper's code has it."""
    first = 0
    if both:
        count //= 2
        first, apart = (count if apart > 0 else 0), abs(apart)
    else:
        apart = -min(apart, 0)
    own = count // 2
    if apart < own:
        return first + apart
    wide = own + int(math.log(apart / own) / math.log(furthest / own) * (count - own))
    return first + min(wide, count - 1)


@pytest.mark.parametrize("both", [0, 1])
@pytest.mark.parametrize("steps", [5, 40])
def test_words_far_apart_share_a_bucket(ours: Ours, gradients: Gradients, both: int, steps: int) -> None:
    """Steps of 40 and buckets up to 20 apart: the furthest share the last."""
    table, length = torch.randn(3, 8), torch.tensor(steps)
    given = {"max_distance": 20, "is_bidirectional": both}
    (y,) = ours("RelativePositionBias", table.reshape(8, 3), length, length, **given)
    places = [[bucket(key - query, 8, 20, both=bool(both)) for key in range(steps)] for query in range(steps)]
    torch.testing.assert_close(y, table[:, torch.tensor(places)][None])
    gradients("RelativePositionBias", table.reshape(8, 3), length, length, **given)


def test_a_gate_of_the_query_scales_the_bias(ours: Ours, gradients: Gradients) -> None:
    inputs = (torch.randn(2, 5, 12), torch.randn(12), torch.randn(1, 3, 5, 5))
    weight, bias, eco = torch.randn(4, 8), torch.randn(8), torch.randn(1, 3, 1, 1)
    heads = (inputs[0] + inputs[1]).reshape(2, 5, 3, 4).permute(0, 2, 1, 3)
    gates = torch.sigmoid(torch.nn.functional.linear(heads, weight.t(), bias).reshape(2, 3, 5, 2, 4).sum(-1))
    expected = (gates[..., :1] * (gates[..., 1:] * eco - 1.0) + 2.0) * inputs[2]
    torch.testing.assert_close(ours("GatedRelativePositionBias", *inputs, weight, bias, eco, num_heads=3), [expected])
    gradients("GatedRelativePositionBias", *inputs, weight, bias, eco, num_heads=3)


def test_packed_words_are_refused(ours: Ours) -> None:
    inputs = (torch.randn(7, 12), torch.randn(12), torch.randn(1, 3, 5, 5), torch.randn(4, 8), torch.randn(8))
    offsets = torch.zeros(2, 5, dtype=torch.int32)
    with pytest.raises(UnsupportedOperator, match="packed"):
        ours("GatedRelativePositionBias", *inputs, torch.randn(1, 3, 1, 1), offsets, num_heads=3)
