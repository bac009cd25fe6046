"""Recurrent layers that remember: gains along time held to what theory and the measure say."""

import math
from typing import Any

import pytest

from tests.probe.subjects import dense, described
from worker.network.gate_biases import KEEPING, keeping_bias, kept
from worker.probe.measure import probe
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, treatments

STEPS = 30
SMALL = {"kernel": "xavier_normal", "recurrent": {"law": "lecun_normal", "gain": 0.3}}


def recurrent(kind: str, **more: Any) -> Subject:  # noqa: ANN401
    return described([{"kind": kind, "units": 24, **more}, dense(3)], (STEPS, 5), size=32)


def treated(name: str, subject: Subject) -> Change:
    change = treatments[name].apply(subject, probe(subject))
    assert isinstance(change, Change), change
    return change


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
    assert abs(along_time(treated("identity-recurrence", subject).subject)) < 6


def test_the_scale_of_a_recurrence_is_the_one_that_keeps_its_gradient() -> None:
    subject = recurrent("rnn", init=SMALL)
    change = treated("recurrent-scale", subject)
    assert abs(along_time(change.subject)) < 3
    assert float(change.values["gain"]) > 1, "tanh and its inputs take something at every step"


@pytest.mark.parametrize(("kind", "more"), [("gru", {}), ("lstm", {"forget_bias": -6})])
def test_gates_keep_a_state_for_as_long_as_the_sequence(kind: str, more: dict[str, Any]) -> None:
    subject = recurrent(kind, **more)
    change = treated("long-memory", subject)
    assert start(change.subject) == pytest.approx(math.log(STEPS - 1), rel=1e-6)
    assert float(change.values["by"]) == pytest.approx(math.log(STEPS - 1) - start(subject), rel=0.01)
    assert along_time(subject) < -12 < along_time(change.subject)
    again = treatments["long-memory"].apply(change.subject, probe(change.subject))
    assert isinstance(again, Inapplicable)


@pytest.mark.parametrize("name", ["identity-recurrence", "recurrent-scale", "long-memory"])
def test_a_network_without_recurrence_is_left_alone(name: str) -> None:
    subject = described([dense(8), {"kind": "relu"}, dense(3)])
    assert isinstance(treatments[name].apply(subject, probe(subject)), Inapplicable)
