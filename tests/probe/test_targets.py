"""What is said of targets, against batches made so that the answer is known."""

import math

import pytest
import torch
from torch import Tensor

from service.contract.words import LossName
from tests.probe.subjects import dense, described, normal
from worker.loss import Loss
from worker.probe.evidence import TargetEvidence
from worker.probe.sweep import sweep
from worker.probe.targets import measure_target
from worker.subject import Batch

LAYERS = [dense(8), {"kind": "relu"}]


def measured(inputs: Tensor, target: Tensor, loss: LossName, outputs: int = 1) -> TargetEvidence:
    subject = described([*LAYERS, dense(outputs)], inputs.shape[1:], size=4)
    found = measure_target(sweep(subject.replace(batch=Batch({"input": inputs}, target), loss=Loss(loss))))
    assert found is not None
    return found


def test_classes_are_counted_and_those_that_nobody_names() -> None:
    target = torch.tensor([0] * 6 + [2] * 3 + [3])
    found = measured(normal(10, 4), target, LossName.CROSS_ENTROPY, 5)
    assert (found.classes, found.missing, found.dominant, found.count) == (5, 2, 0.6, 10)


def test_numbers_have_a_mean_and_a_deviation() -> None:
    found = measured(normal(4, 4), torch.tensor([[1.0], [3.0], [5.0], [7.0]]), LossName.MSE)
    assert (found.mean, found.std, found.classes) == (4.0, pytest.approx(math.sqrt(5)), 0)


def test_the_floor_of_repeated_inputs_is_the_entropy_that_they_leave() -> None:
    inputs = torch.cat([torch.zeros(50, 4), torch.ones(50, 4)])
    target = torch.tensor([0] * 40 + [1] * 10 + [1] * 50)
    found = measured(inputs, target, LossName.CROSS_ENTROPY, 2)
    left = -0.5 * (0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    whole = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    assert found.contradicting == 0.5
    assert found.floor == pytest.approx(left / whole)
    assert found.distinct == 2


def test_the_floor_of_numbers_is_the_variance_within_equal_inputs() -> None:
    inputs = torch.arange(4.0).repeat_interleave(2).reshape(-1, 1).expand(8, 4).contiguous()
    target = torch.tensor([[0.0], [2.0], [10.0], [10.0], [20.0], [20.0], [30.0], [30.0]])
    found = measured(inputs, target, LossName.MSE)
    assert found.contradicting == 0.25
    assert found.floor == pytest.approx(2.0 / float((target - target.mean()).square().sum()))


def test_twins_that_agree_contradict_nothing() -> None:
    inputs = normal(8, 4).repeat(2, 1)
    target = normal(8, 1, seed=3).repeat(2, 1)
    found = measured(inputs, target, LossName.MSE)
    assert (found.contradicting, found.floor, found.distinct) == (0.0, 0.0, 8)


def test_a_column_that_is_the_target_is_found() -> None:
    inputs = normal(16, 4)
    assert measured(inputs, inputs[:, 2:3].clone(), LossName.MSE).leak == ("input", 2)
    assert measured(inputs, -inputs[:, 2:3], LossName.MSE).leak is None
    classes = torch.arange(16) % 3
    inputs[:, 1] = classes
    assert measured(inputs, classes, LossName.CROSS_ENTROPY, 3).leak == ("input", 1)


def test_a_constant_column_leaks_no_constant_target() -> None:
    assert measured(torch.ones(16, 4), torch.ones(16, 1), LossName.MSE).leak is None


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_more_frequent_answer_is_counted_whichever_it_is(share: float) -> None:
    target = (torch.arange(16).reshape(-1, 1) < 16 * share).float()
    assert measured(normal(16, 4), target, LossName.BCE_WITH_LOGITS).dominant == 0.75


def test_a_target_that_was_drawn_or_is_no_number_is_not_measured() -> None:
    subject = described([*LAYERS, dense(4)])
    drawn = Batch(subject.batch.inputs, subject.target, drawn_target=True)
    assert measure_target(sweep(subject.replace(batch=drawn))) is None
    nothing = Batch(subject.batch.inputs, torch.full_like(subject.target, math.nan))
    assert measure_target(sweep(subject.replace(batch=nothing))) is None
