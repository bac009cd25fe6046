"""Batches where none is given."""

import pytest
import torch

from service.contract.problem import BatchMismatch
from tests.load.batch_files import TOKENS, graph
from worker.load.batch import read
from worker.network.graph import Input


def test_a_drawn_batch_is_standard_normal_and_says_so() -> None:
    batch = read(None, graph(Input("x", torch.float32, ("batch", 50))), seed=0)
    drawn = batch.inputs["x"]
    assert drawn.shape == (64, 50)
    assert abs(drawn.mean().item()) < 5 / 3200**0.5
    assert drawn.var().item() == pytest.approx(1, rel=0.13)
    assert batch.synthetic
    assert batch.notes
    assert batch.sha256 is None


@pytest.mark.parametrize(("shape", "samples"), [((16,), 64), ((3, 64, 64), 32), ((3, 224, 224), 16)])
def test_large_samples_are_drawn_in_smaller_batches(shape: tuple[int, ...], samples: int) -> None:
    assert read(None, graph(Input("x", torch.float32, ("batch", *shape))), seed=0).size == samples
    assert read(None, graph(Input("x", torch.float32, ("batch", *shape))), seed=0, size=3).size == 3


def test_drawn_tokens_stay_within_the_table() -> None:
    drawn = read(None, graph(TOKENS), seed=0).inputs["tokens"]
    assert set(drawn.unique().tolist()) == set(range(10))
    unknown = read(None, graph(Input("tokens", torch.int64, ("batch", 40))), seed=0)
    assert set(unknown.inputs["tokens"].unique().tolist()) == {0, 1}
    assert any("tokens" in note for note in unknown.notes)


def test_free_axes_of_one_name_get_one_size() -> None:
    batch = read(
        None,
        graph(
            Input("ids", torch.int64, ("n", "time"), classes=7),
            Input("attention_mask", torch.int64, ("n", "time")),
            Input("bias", torch.float32, ("time", "time")),
        ),
        seed=0,
    )
    assert {name: tuple(value.shape) for name, value in batch.inputs.items()} == {
        "ids": (64, 16),
        "attention_mask": (64, 16),
        "bias": (16, 16),
    }
    assert batch.inputs["attention_mask"].unique().tolist() == [1]


def test_a_seed_draws_the_same_batch_and_another_seed_another() -> None:
    first, again, other = (read(None, graph(), seed=seed).inputs["pixels"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_model_that_asks_for_too_much_is_refused_not_drawn() -> None:
    with pytest.raises(BatchMismatch, match="134217728"):
        read(None, graph(Input("x", torch.float32, (1, 2**20, 2**20))), seed=0)
