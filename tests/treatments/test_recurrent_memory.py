"""Recurrent layers that remember: gains along time held to what theory and the measure say."""

import math
from typing import Any

import pytest
import torch

from tests.probe.subjects import dense, described, normal
from tests.treatments.applied import changed, refused, treated, weight
from worker.network.gate_biases import KEEPING, keeping_bias, kept
from worker.probe.measure import probe
from worker.subject import Subject
from worker.treatments import Inapplicable, treatments

STEPS = 30
SMALL = {"kernel": "xavier_normal", "recurrent": {"law": "lecun_normal", "gain": 0.3}}


def recurrent(kind: str, **more: Any) -> Subject:  # noqa: ANN401
    return described([{"kind": kind, "units": 24, **more}, dense(3)], (STEPS, 5), size=32)


def along_time(subject: Subject) -> float:
    (found,) = probe(subject).recurrent
    return found.total


def start(subject: Subject) -> float:
    """Return where the gate that keeps the state starts in the mean."""
    (node,) = (each for each in subject.graph.nodes if each.op in KEEPING)
    return kept(subject.graph.parameters[keeping_bias(subject.graph, node) or ""], node.op)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_identity_behind_relu_keeps_a_gradient_for_thirty_steps(activation: str) -> None:
    subject = recurrent("rnn", activation=activation, init=SMALL)
    assert along_time(subject) < -60
    assert abs(along_time(treated("identity-recurrence", subject))) < 6


def test_the_scale_of_a_recurrence_is_the_one_that_keeps_its_gradient() -> None:
    subject = recurrent("rnn", init=SMALL)
    change = changed("recurrent-scale", subject)
    assert abs(along_time(change.subject)) < 3
    assert float(change.values["gain"]) > 1, "tanh and its inputs take something at every step"


@pytest.mark.parametrize(("kind", "more"), [("gru", {}), ("lstm", {"forget_bias": -6})])
def test_gates_keep_a_state_for_as_long_as_the_sequence(kind: str, more: dict[str, Any]) -> None:
    subject = recurrent(kind, **more)
    change = changed("long-memory", subject)
    assert start(change.subject) == pytest.approx(math.log(STEPS - 1), rel=1e-6)
    assert float(change.values["by"]) == pytest.approx(math.log(STEPS - 1) - start(subject), rel=0.01)
    assert along_time(subject) < -12 < along_time(change.subject)
    again = treatments["long-memory"].apply(change.subject, probe(change.subject))
    assert isinstance(again, Inapplicable)


def lstm(**more: Any) -> Subject:  # noqa: ANN401
    return described([{"kind": "lstm", "units": 5, **more}, dense(3)], (7, 4))


def test_forget_gates_open_and_no_other_weight_moves() -> None:
    before = lstm()
    after = treated("forget-bias", before)
    moved = weight(after, "layers/0.bias") - weight(before, "layers/0.bias")
    expected = torch.zeros(1, 8, 5)
    expected[:, 2] = 1
    torch.testing.assert_close(moved.reshape(1, 8, 5), expected)
    others = before.graph.parameters.keys() - {"layers/0.bias"}
    assert all(torch.equal(weight(after, name), weight(before, name)) for name in others)
    assert treatments["forget-bias"].retrains is False


def test_trained_forget_biases_are_raised_to_a_mean_of_one() -> None:
    before = lstm()
    held = before.graph.with_parameters({"layers/0.bias": normal(1, 40)})
    after = treated("forget-bias", before.replace(graph=held))
    gates = weight(after, "layers/0.bias").reshape(2, 4, 5)[:, 2]
    assert float(gates.sum(0).mean()) == pytest.approx(1, abs=1e-5)


def test_forget_gates_that_are_open_are_left_alone() -> None:
    assert "open" in refused("forget-bias", lstm(forget_bias=1))
    assert "open" in refused("forget-bias", described([{"kind": "gru", "units": 5}, dense(3)], (7, 4)))


@pytest.mark.parametrize("name", ["identity-recurrence", "recurrent-scale", "long-memory"])
def test_a_network_without_recurrence_is_left_alone(name: str) -> None:
    subject = described([dense(8), {"kind": "relu"}, dense(3)])
    assert isinstance(treatments[name].apply(subject, probe(subject)), Inapplicable)
