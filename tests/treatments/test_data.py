"""Inputs and targets brought to unit scale, against training on data that are."""

from dataclasses import replace

import pytest
import torch

from service.contract.words import LossName, OptimizerName
from tests.probe.subjects import by_hand, dense, described, node, normal
from tests.treatments.applied import treated
from worker.budget import Deadline
from worker.loss import Loss
from worker.network.run import Program
from worker.probe.measure import probe
from worker.probe.training import declared_optimizer
from worker.subject import Batch, Settings, Subject
from worker.training import Trainer
from worker.treatments import Inapplicable, treatments

FAR = 40 + 10 * normal(64, 1, seed=3)


def regression(target: torch.Tensor, loss: LossName = LossName.MSE, settings: Settings = Settings()) -> Subject:  # noqa: B008  frozen
    subject = described([dense(16), {"kind": "tanh"}, dense(target.shape[1])], settings=settings)
    return subject.replace(batch=replace(subject.batch, target=target), loss=Loss(loss))


@pytest.mark.parametrize(("loss", "power"), [(LossName.MSE, 2), (LossName.MAE, 1)])
def test_a_rescaled_head_trains_as_on_standardized_targets(loss: LossName, power: int) -> None:
    """With s the deviation, the loss is s² (or s) that of (y − mean) / s, and so is the gradient."""
    settings = Settings(optimizer=OptimizerName.SGD, learning_rate=0.01)
    before = regression(FAR, loss, settings)
    after = treated("standardize-target", before)
    mean, std = FAR.mean(), FAR.std(correction=0)
    standard = before.replace(batch=replace(before.batch, target=(FAR - mean) / std))
    runs = []
    for subject in (after, standard):
        rate = subject.settings.learning_rate
        assert rate is not None
        optimizer = declared_optimizer(subject, "sgd", rate)
        runs.append(Trainer(subject).run(optimizer, 20, 0, Deadline.after(1e9)).losses)
    expected = [each * float(std) ** power for each in runs[1]]
    assert runs[0] == pytest.approx(expected, rel=1e-3)
    assert after.settings.learning_rate == pytest.approx(0.01 / float(std) ** power)


def test_a_rescaled_head_predicts_in_the_targets_own_units_under_the_same_name() -> None:
    before = regression(FAR)
    after = treated("standardize-target", before)
    assert after.output == before.output
    assert after.graph.outputs == before.graph.outputs
    was, now = (Program(each.graph).run(each.batch.inputs)[each.output] for each in (before, after))
    torch.testing.assert_close(now, FAR.mean() + FAR.std(correction=0) * was, rtol=1e-5, atol=1e-4)
    assert {each.name for each in before.graph.nodes} <= {each.name for each in after.graph.nodes}


def test_targets_of_different_scales_are_scaled_each_by_itself() -> None:
    target = torch.cat([1000 + 200 * normal(64, 1, seed=4), normal(64, 1, seed=5) / 100], 1)
    before = regression(target)
    after = treated("standardize-target", before)
    was, now = (Program(each.graph).run(each.batch.inputs)[each.output] for each in (before, after))
    expected = target.mean(0) + target.std(0, correction=0) * was
    torch.testing.assert_close(now, expected, rtol=1e-4, atol=1e-4)


def test_targets_near_unit_scale_and_heads_with_a_bound_or_a_scale_of_their_own_are_left_alone() -> None:
    bounded = described([dense(16), dense(1), {"kind": "tanh"}])
    scaled = described([dense(16), dense(1), {"kind": "rescale", "scale": 10.0, "offset": 0.0}])
    far = [each.replace(batch=replace(each.batch, target=FAR)) for each in (bounded, scaled)]
    drawn = regression(FAR)
    drawn = drawn.replace(batch=replace(drawn.batch, drawn_target=True))
    for subject in (regression(normal(64, 1)), drawn, *far):
        assert isinstance(treatments["standardize-target"].apply(subject, probe(subject)), Inapplicable)


def fed(x: torch.Tensor) -> Subject:
    return by_hand([node("MatMul", "x w", "y")], {"w": normal(x.shape[1], 4)}, {"x": x})


def read(subject: Subject) -> torch.Tensor:
    """Return what the first weights read."""
    (first,) = (each for each in subject.graph.nodes if each.op == "MatMul")
    graph = subject.graph.replace(outputs=(first.inputs[0],))
    return Program(graph).run(subject.batch.inputs)[first.inputs[0]]


def test_columns_that_drown_one_another_come_to_unit_scale_each_by_itself() -> None:
    x = normal(64, 16) * torch.logspace(0, 4, 16) + torch.arange(16.0)
    x[:, 5] = 7.0
    value = read(treated("standardize-input", fed(x)))
    torch.testing.assert_close(value.mean(0), torch.zeros(16), rtol=0, atol=1e-3)
    others = [column for column in range(16) if column != 5]
    torch.testing.assert_close(value.std(0, correction=0)[others], torch.ones(15), rtol=1e-3, atol=0)
    assert not bool(value[:, 5].any())


def test_columns_of_one_scale_keep_their_proportions() -> None:
    x = 100 + 30 * normal(64, 16) * torch.linspace(1, 3, 16)
    value = read(treated("standardize-input", fed(x)))
    torch.testing.assert_close(value, (x - x.mean()) / x.std(correction=0), rtol=1e-4, atol=1e-4)


def test_zeros_and_ones_and_inputs_at_unit_scale_are_left_alone() -> None:
    exact = normal(64, 16)
    exact = (exact - exact.mean()) / exact.std(correction=0)
    for x in ((normal(64, 16) > 0).float(), exact, torch.full((64, 16), 5.0)):
        subject = fed(x)
        assert isinstance(treatments["standardize-input"].apply(subject, probe(subject)), Inapplicable)


def test_trained_weights_keep_the_inputs_that_they_know() -> None:
    x = 100 + 30 * normal(64, 16)
    subject = fed(x)
    known = Program(subject.graph).run({"x": x})["y"].detach()
    trained = subject.replace(batch=Batch({"x": x}, known))
    assert isinstance(treatments["standardize-input"].apply(trained, probe(trained)), Inapplicable)
