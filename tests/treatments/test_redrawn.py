"""Treated copies drawn again: what a treatment does to weights, it does to other draws of them."""

import pytest
import torch

from tests.probe.subjects import dense, described
from worker.network.laws import Times
from worker.probe.measure import probe
from worker.subject import Subject
from worker.treatments import Change, treatments

RELU = {"kind": "relu"}
RESIDUAL = {"kind": "residual", "layers": [dense(16), RELU, dense(16, name="last")]}
DEEP = [*[dense(16), RELU] * 3, dense(4)]
RECURRENT = [{"kind": "lstm", "units": 6}, dense(4)]


def treated(name: str, subject: Subject) -> Subject:
    change = treatments[name].apply(subject, probe(subject))
    assert isinstance(change, Change)
    return change.subject


@pytest.mark.parametrize(
    ("name", "layers", "shape"),
    [
        ("residual-scale", [dense(16), RESIDUAL, RESIDUAL, dense(4)], (8,)),
        ("critical-init", DEEP, (8,)),
        ("orthogonal-init", DEEP, (8,)),
        ("recurrent-init", RECURRENT, (5, 3)),
    ],
)
def test_a_treated_copy_drawn_by_its_own_seed_is_the_same(
    name: str, layers: list[dict[str, object]], shape: tuple[int, ...]
) -> None:
    copy = treated(name, described(layers, shape, seed=3)).graph
    again = copy.redrawn(3)
    assert all(each.law is not None for each in copy.parameters.values())
    assert all(torch.equal(copy.parameters[key].value, each.value) for key, each in again.parameters.items())


def test_scaled_branches_stay_scaled_in_other_draws() -> None:
    subject = described([dense(16), RESIDUAL, RESIDUAL, dense(4)], (8,))
    copy = treated("residual-scale", subject).graph.redrawn(7)
    plain = subject.graph.redrawn(7)
    scaled = {name for name, each in copy.parameters.items() if isinstance(each.law, Times)}
    assert len(scaled) == 4  # two branches, kernel and bias
    for name, each in copy.parameters.items():
        expected = plain.parameters[name].value / (2 if name in scaled else 1)  # 1 / √(2 · 2)
        torch.testing.assert_close(each.value, expected)
