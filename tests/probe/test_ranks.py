"""Effective rank of samples whose spectrum is known; and the gain on two halves."""

import pytest
import torch

from tests.probe.subjects import chain, dense, described, normal
from worker.probe.evidence import Halves
from worker.probe.gain import measure_gain
from worker.probe.ranks import measure_ranks, participation
from worker.probe.stability import measure_halves
from worker.probe.sweep import sweep


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_as_many_equal_directions_as_the_samples_take_are_counted(rank: int) -> None:
    corners = torch.cat([torch.eye(rank), -torch.eye(rank)])
    turned = corners @ torch.linalg.qr(normal(16, rank)).Q.T
    assert float(participation(turned + 5)) == pytest.approx(rank, rel=1e-4)


def test_independent_gaussian_samples_have_nb_by_n_plus_b() -> None:
    samples, features = 200, 100
    found = float(participation(normal(samples, features)))
    assert found == pytest.approx(samples * features / (samples + features), rel=0.03)


def test_samples_that_are_all_the_same_take_no_direction() -> None:
    assert float(participation(torch.ones(8, 4))) == 0


def test_a_narrow_layer_bounds_the_rank_of_what_follows() -> None:
    ranks = measure_ranks(sweep(described([dense(32), dense(2), dense(32), dense(4)])))
    assert [rank.most for rank in ranks] == [32, 2, 32, 4]
    assert ranks[0].participation > 5
    assert ranks[1].participation <= 2
    assert ranks[2].participation <= 2


def test_the_halves_of_a_healthy_batch_agree_with_each_other_and_with_the_whole() -> None:
    subject = described(chain(8, dense(64), {"kind": "relu"}), size=256)
    halves, whole = measure_halves(subject), measure_gain(sweep(subject))
    assert isinstance(halves, Halves)
    assert whole is not None
    assert abs(halves.first - halves.second) < 6 * halves.standard_error + 0.1
    assert (halves.first + halves.second) / 2 == pytest.approx(whole.total, abs=6 * halves.standard_error + 0.1)


@pytest.mark.parametrize(("size", "depth"), [(4, 8), (64, 1)])
def test_halves_take_samples_and_layers(size: int, depth: int) -> None:
    assert isinstance(measure_halves(described(chain(depth, dense(16)), size=size)), str)
