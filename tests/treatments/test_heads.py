"""Heads and their losses, against the best constant and against what a loss reads."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from service.contract.words import LossName
from tests.probe.subjects import by_hand, dense, described, node, normal
from worker.loss import Loss
from worker.network.run import Program
from worker.probe.measure import probe
from worker.subject import Batch, Subject
from worker.treatments import Change, Inapplicable, treatments

CLASSES = torch.arange(64) % 4
BITS = (torch.arange(64) % 2).float()[:, None]


def headed(units: int, head: str, loss: LossName, target: Tensor) -> Subject:
    """Return two layers with an activation at the end, under a loss that the caller named."""
    layers = [dense(16), {"kind": "tanh"}, dense(units), {"kind": head}]
    subject = described(layers)
    batch = replace(subject.batch, target=target)
    return subject.replace(batch=batch, loss=Loss(loss), declared_loss=True)


def fixed(subject: Subject) -> Subject:
    change = treatments["fix-loss"].apply(subject, probe(subject))
    assert isinstance(change, Change), change
    return change.subject


def logits(subject: Subject) -> Tensor:
    """Return what the head's weights give."""
    (last,) = (each for each in subject.graph.nodes if each.inputs[1:2] == ("layers/2.kernel",))
    graph = subject.graph.replace(outputs=(last.outputs[0],))
    return Program(graph).run(subject.batch.inputs)[last.outputs[0]]


@pytest.mark.parametrize(
    ("units", "head", "loss", "target", "right"),
    [
        (4, "softmax", LossName.CROSS_ENTROPY, CLASSES, LossName.CROSS_ENTROPY),
        (4, "softmax", LossName.NLL, CLASSES, LossName.CROSS_ENTROPY),
        (4, "sigmoid", LossName.CROSS_ENTROPY, CLASSES, LossName.CROSS_ENTROPY),
        (4, "tanh", LossName.CROSS_ENTROPY, CLASSES, LossName.CROSS_ENTROPY),
        (4, "relu", LossName.CROSS_ENTROPY, CLASSES, LossName.CROSS_ENTROPY),
        (4, "relu", LossName.PROBABILITY_CROSS_ENTROPY, CLASSES, LossName.CROSS_ENTROPY),
        (1, "softmax", LossName.BCE, BITS, LossName.BCE_WITH_LOGITS),
        (1, "tanh", LossName.BCE, BITS, LossName.BCE_WITH_LOGITS),
        (1, "relu", LossName.BCE, BITS, LossName.BCE_WITH_LOGITS),
        (1, "relu", LossName.BCE_WITH_LOGITS, BITS, LossName.BCE_WITH_LOGITS),
        (1, "sigmoid", LossName.BCE_WITH_LOGITS, BITS, LossName.BCE_WITH_LOGITS),
        (1, "sigmoid", LossName.MSE, BITS, LossName.BCE_WITH_LOGITS),
        (1, "tanh", LossName.MSE, 40 + 10 * BITS, LossName.MSE),
        (1, "tanh", LossName.MAE, 40 + 10 * BITS, LossName.MAE),
        (3, "sigmoid", LossName.MSE, -normal(64, 3).abs(), LossName.MSE),
    ],
)
def test_a_head_that_does_not_fit_is_read_before_its_activation(
    units: int, head: str, loss: LossName, target: Tensor, right: LossName
) -> None:
    before = headed(units, head, loss, target)
    after = fixed(before)
    assert after.loss.name is right
    output = Program(after.graph).run(after.batch.inputs)[after.output]
    torch.testing.assert_close(output, logits(before))
    again = treatments["fix-loss"].apply(after.replace(declared_loss=True), probe(after))
    assert isinstance(again, Inapplicable)
    assert {each.name for each in before.graph.nodes} == {each.name for each in after.graph.nodes}


@pytest.mark.parametrize(
    ("units", "head", "loss", "target"),
    [
        (4, "log_softmax", LossName.NLL, CLASSES),
        (1, "tanh", LossName.MSE, BITS),
        (1, "linear", LossName.MAE, normal(64, 1)),
        (1, "linear", LossName.HUBER, BITS),
        (3, "linear", LossName.BCE_WITH_LOGITS, BITS.expand(64, 3)),
        (2, "relu", LossName.MSE, normal(64, 2).abs()),
    ],
)
def test_a_head_that_fits_is_left_alone(units: int, head: str, loss: LossName, target: Tensor) -> None:
    layers = [dense(16), {"kind": "tanh"}, dense(units), *([] if head == "linear" else [{"kind": head}])]
    subject = described(layers)
    subject = subject.replace(batch=replace(subject.batch, target=target), loss=Loss(loss), declared_loss=True)
    assert isinstance(treatments["fix-loss"].apply(subject, probe(subject)), Inapplicable)


def test_a_softmax_over_the_batch_runs_over_the_classes_instead() -> None:
    nodes = [node("MatMul", "x w", "h"), node("Softmax", "h", "s", axis=0), node("Log", "s", "y")]
    subject = by_hand(nodes, {"w": normal(8, 4)}, {"x": normal(64, 8)})
    given = subject.replace(batch=Batch(subject.batch.inputs, CLASSES), loss=Loss(LossName.NLL), declared_loss=True)
    after = fixed(given)
    output = Program(after.graph).run(after.batch.inputs)["y"]
    torch.testing.assert_close(output, (normal(64, 8) @ normal(8, 4)).log_softmax(-1))


def test_a_rectifier_under_a_softmax_is_left_out() -> None:
    layers = [dense(16), {"kind": "tanh"}, dense(4), {"kind": "relu"}, {"kind": "softmax"}]
    subject = described(layers)
    subject = subject.replace(
        batch=replace(subject.batch, target=CLASSES), loss=Loss(LossName.CROSS_ENTROPY), declared_loss=True
    )
    after = fixed(subject)
    output = Program(after.graph).run(after.batch.inputs)[after.output]
    torch.testing.assert_close(output, logits(subject))


UNEVEN = (torch.arange(64) >= 4).long() + (torch.arange(64) >= 56).long()


@pytest.mark.parametrize(
    ("units", "loss", "target"),
    [
        (3, LossName.CROSS_ENTROPY, UNEVEN),
        (1, LossName.BCE_WITH_LOGITS, (UNEVEN == 0).float()[:, None]),
        (2, LossName.MSE, torch.stack([40 + normal(64), normal(64, seed=1) - 7], 1)),
        (1, LossName.MAE, 5 + normal(64, 1).exp()),
    ],
)
def test_without_features_a_head_at_the_prior_has_the_loss_of_the_best_constant(
    units: int, loss: LossName, target: Tensor
) -> None:
    subject = described([dense(units)])
    dark = Batch({"input": torch.zeros(64, 16)}, target)
    before = subject.replace(batch=dark, loss=Loss(loss))
    change = treatments["log-prior-bias"].apply(before, probe(before))
    assert isinstance(change, Change), change
    assert probe(change.subject).loss.value == pytest.approx(before.loss.chance(target), rel=1e-5)
    assert probe(before).loss.value > 1.05 * before.loss.chance(target)


def test_the_prior_is_the_logarithm_of_the_shares_and_no_draw_takes_it_away() -> None:
    subject = described([dense(8), {"kind": "relu"}, dense(3)])
    before = subject.replace(batch=replace(subject.batch, target=UNEVEN), loss=Loss(LossName.CROSS_ENTROPY))
    change = treatments["log-prior-bias"].apply(before, probe(before))
    assert isinstance(change, Change)
    expected = torch.tensor([math.log(count / 64) for count in (4, 52, 8)])
    for graph in (change.subject.graph, change.subject.graph.redrawn(5)):
        torch.testing.assert_close(graph.parameters["layers/2.bias"].value, expected)


def test_even_targets_need_no_prior() -> None:
    subject = described([dense(8), {"kind": "relu"}, dense(4)])
    before = subject.replace(batch=replace(subject.batch, target=CLASSES), loss=Loss(LossName.CROSS_ENTROPY))
    assert isinstance(treatments["log-prior-bias"].apply(before, probe(before)), Inapplicable)


def test_a_head_is_scaled_by_weights_of_its_own_alone() -> None:
    """With the kernel of the layer before it, scaling one would scale both."""
    rows = normal(64, 8)
    kernels = {"w": 9 * normal(8, 8, seed=1), "v": 9 * normal(8, 8, seed=2)}
    for last, expected in (("w", Inapplicable), ("v", Change)):
        nodes = [node("MatMul", "x w", "h"), node("Relu", "h", "r"), node("MatMul", f"r {last}", "y")]
        subject = by_hand(nodes, kernels, {"x": rows})
        assert isinstance(treatments["scale-head"].apply(subject, probe(subject)), expected)
