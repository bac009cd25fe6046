"""Random operators: drawn from the distribution that their attributes name, the same again for the same seed."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from worker.network.graph import Attribute, Graph, Input, Node
from worker.network.run import Program

MANY = 20_000
"""Numbers drawn; with fixed seeds a test of a right distribution passes or fails for ever."""


def drawn(
    op: str, x: Tensor | None = None, *, seed: int = 0, training: bool = False, **attributes: Attribute
) -> Tensor:
    inputs = () if x is None else (Input("x", x.dtype, tuple(x.shape)),)
    node = Node(op, tuple(each.name for each in inputs), ("y",), "draw", attributes)
    program = Program(Graph((node,), inputs, ("y",), {}))
    return program.run({} if x is None else {"x": x}, generator=torch.Generator().manual_seed(seed), training=training)[
        "y"
    ]


@pytest.mark.parametrize(
    ("op", "attributes", "law"),
    [
        ("RandomNormal", {"mean": 2.0, "scale": 0.5}, stats.norm(2, 0.5)),
        ("RandomUniform", {"low": -1.0, "high": 3.0}, stats.uniform(-1, 4)),
    ],
)
@pytest.mark.parametrize("like", [False, True])
def test_numbers_follow_the_law_that_is_named(
    op: str, attributes: dict[str, Attribute], law: stats.rv_continuous, *, like: bool
) -> None:
    values = drawn(f"{op}Like", torch.zeros(MANY), **attributes) if like else drawn(op, shape=(MANY,), **attributes)
    assert stats.kstest(values.numpy(), law.cdf).pvalue > 0.001


def test_a_bernoulli_is_one_as_often_as_its_input_says() -> None:
    shares = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])
    ones = drawn("Bernoulli", shares.repeat(MANY, 1)).sum(0)
    for count, share in zip(ones[1:-1], shares[1:-1], strict=True):
        assert stats.binomtest(int(count), MANY, float(share)).pvalue > 0.001
    assert (ones[0], ones[-1]) == (0, MANY)


def test_a_multinomial_takes_each_class_as_often_as_its_log_probability_says() -> None:
    shares = torch.tensor([0.1, 0.2, 0.7])
    counts = drawn("Multinomial", shares.log()[None], sample_size=MANY).flatten().bincount(minlength=3)
    assert stats.chisquare(counts.numpy(), (shares.double() / shares.double().sum() * MANY).numpy()).pvalue > 0.001


def test_a_dropout_keeps_its_share_and_the_mean_in_training_only() -> None:
    x = torch.ones(MANY)
    kept = drawn("Dropout", x, training=True)
    assert stats.binomtest(int((kept != 0).sum()), MANY, 0.5).pvalue > 0.001
    assert set(kept.tolist()) == {0.0, 2.0}
    assert torch.equal(drawn("Dropout", x), x)


@pytest.mark.parametrize("op", ["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def test_a_seed_draws_the_same_again_and_another_seed_something_else(op: str) -> None:
    x = torch.full((100,), 0.5)
    assert torch.equal(drawn(op, x, seed=1), drawn(op, x, seed=1))
    assert not torch.equal(drawn(op, x, seed=1), drawn(op, x, seed=2))
