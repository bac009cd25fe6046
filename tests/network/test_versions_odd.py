"""What the table of versions cannot hold: chance, and inputs that an operator has no answer for."""

import math

import numpy as np
import pytest
import torch

from service.contract.problem import BatchMismatch
from tests.network.test_versions import ours
from tests.network.versions.case import NEWEST, case, floats
from worker.network.model import interpret
from worker.network.run import Program

DRAWS = 20_000


def drawn(seed: int) -> torch.Tensor:
    """Return classes that Multinomial draws where they are as likely as 1, 2 and 5."""
    chances = np.log(np.array([[1, 2, 5]], "float32"))
    graph = interpret(case("Multinomial", chances, sample_size=DRAWS).model(NEWEST))
    generator = torch.Generator().manual_seed(seed)
    return Program(graph).run({"x0": torch.from_numpy(chances)}, generator=generator)["y0"]


def test_classes_are_drawn_as_often_as_they_are_likely() -> None:
    shares = torch.bincount(drawn(0)[0], minlength=3).double() / DRAWS
    for share, chance in zip(shares.tolist(), (1 / 8, 2 / 8, 5 / 8), strict=True):
        assert abs(share - chance) < 5 * math.sqrt(chance * (1 - chance) / DRAWS)


def test_the_same_seed_draws_the_same_classes() -> None:
    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"])
def test_pooling_over_no_axes_is_refused(operator: str) -> None:
    with pytest.raises(BatchMismatch, match="no spatial axes"):
        ours(case(operator, floats(2, 3)), NEWEST)


def test_attention_gives_no_gradient_to_a_query_that_sees_no_key_and_the_right_one_to_others() -> None:
    """The first query is hidden from all keys: it gives zeros, whatever it is."""
    shown = np.array([[False, False], [True, True]])
    inputs = [floats(1, 1, 2, 4, seed=seed) for seed in range(3)]
    program = Program(interpret(case("Attention", *inputs, shown).model(NEWEST)))
    query, key, value = (torch.from_numpy(each).requires_grad_() for each in inputs)
    y = program.run({"x0": query, "x1": key, "x2": value, "x3": torch.from_numpy(shown)})["y0"]
    by_hand = torch.softmax(query[0, 0, 1:] @ key[0, 0].T / 2, -1) @ value[0, 0]
    torch.testing.assert_close(y[0, 0], torch.cat([torch.zeros(1, 4), by_hand]))
    found = torch.autograd.grad(y.square().sum(), (query, key, value))
    right = torch.autograd.grad(by_hand.square().sum(), (query, key, value))
    torch.testing.assert_close(found, right)
