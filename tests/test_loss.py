"""Losses against torch's own, and the best constant prediction against a search for it."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor
from torch.nn import functional

from service.contract.problem import BatchMismatch
from service.contract.words import LossName
from worker.loss import Loss, class_count

CLASSES = torch.tensor([0, 2, 2, 1, 2, 0, 2])
REALS = torch.tensor([-1.0, 0.5, 0.7, 3.0, 0.6, 9.0, -0.2]).unsqueeze(1)
SHARES = torch.tensor([0.0, 1.0, 1.0, 0.25, 1.0, 0.0, 0.9]).unsqueeze(1)
LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
COLUMN = LOGITS[:, :1]


@pytest.mark.parametrize(
    ("name", "output", "target", "expected"),
    [
        (LossName.CROSS_ENTROPY, LOGITS, CLASSES, functional.cross_entropy(LOGITS, CLASSES)),
        (LossName.NLL, LOGITS.log_softmax(1), CLASSES, functional.cross_entropy(LOGITS, CLASSES)),
        (LossName.BCE, COLUMN.sigmoid(), SHARES, functional.binary_cross_entropy_with_logits(COLUMN, SHARES)),
        (LossName.BCE_WITH_LOGITS, COLUMN, SHARES, functional.binary_cross_entropy_with_logits(COLUMN, SHARES)),
        (LossName.MSE, COLUMN, REALS, (COLUMN - REALS).square().mean()),
        (LossName.MAE, COLUMN, REALS, (COLUMN - REALS).abs().mean()),
        (LossName.HUBER, COLUMN, REALS, functional.huber_loss(COLUMN, REALS)),
    ],
)
def test_values_are_torchs_and_scale_with_the_scale(
    name: LossName, output: Tensor, target: Tensor, expected: Tensor
) -> None:
    torch.testing.assert_close(Loss(name)(output, target), expected)
    torch.testing.assert_close(Loss(name, scale=1e-6)(output, target), 1e-6 * expected)
    assert Loss(name, scale=1e6).chance(target) == pytest.approx(1e6 * Loss(name).chance(target))


def test_no_constant_prediction_of_classes_costs_less_than_the_chance_level() -> None:
    def cost(logits: np.ndarray) -> float:
        constant = torch.tensor(logits).expand(len(CLASSES), 3)
        return float(functional.cross_entropy(constant, CLASSES))

    least = minimize(cost, np.zeros(3)).fun
    for name in (LossName.CROSS_ENTROPY, LossName.NLL):
        assert Loss(name).chance(CLASSES) == pytest.approx(least, abs=1e-6)


def searched(loss: Callable[[Tensor, Tensor], Tensor], target: Tensor, low: float, high: float) -> float:
    """Return the least loss of a constant between `low` and `high`."""

    def cost(constant: float) -> float:
        return float(loss(torch.full_like(target, constant), target))

    grid = np.linspace(low, high, 400)
    best = grid[np.argmin([cost(each) for each in grid])]
    step = grid[1] - grid[0]
    return float(minimize_scalar(cost, bounds=(best - step, best + step), method="bounded").fun)


@pytest.mark.parametrize(("name", "loss"), [(LossName.MSE, functional.mse_loss), (LossName.MAE, functional.l1_loss)])
def test_no_constant_prediction_of_numbers_costs_less(name: LossName, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    target = REALS.double()
    assert Loss(name).chance(target) == pytest.approx(searched(loss, target, -2, 10), rel=1e-4)


def test_the_chance_level_of_hubers_loss_is_the_mean_or_the_median_and_so_nearly_the_best() -> None:
    least = searched(functional.huber_loss, REALS.double(), -2, 10)
    assert least <= Loss(LossName.HUBER).chance(REALS) <= 1.05 * least


@pytest.mark.parametrize("name", [LossName.BCE, LossName.BCE_WITH_LOGITS])
def test_no_constant_probability_costs_less(name: LossName) -> None:
    least = searched(functional.binary_cross_entropy, SHARES.double(), 0.001, 0.999)
    assert Loss(name).chance(SHARES) == pytest.approx(least, rel=1e-5)


def test_each_output_has_a_constant_of_its_own() -> None:
    target = torch.tensor([[1.0, 100.0], [3.0, 100.0], [5.0, 130.0]])
    assert Loss(LossName.MSE).chance(target) == pytest.approx(float(target.var(0, correction=0).mean()))


def test_distributions_over_classes_count_as_frequencies() -> None:
    target = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert Loss(LossName.CROSS_ENTROPY).chance(target) == pytest.approx(expected)
    torch.testing.assert_close(
        Loss(LossName.CROSS_ENTROPY)(LOGITS[:2], target), functional.cross_entropy(LOGITS[:2], target)
    )


@pytest.mark.parametrize(
    ("output", "target", "axis"),
    [((5, 3), (5,), 1), ((5, 3, 4, 2), (5, 4, 2), 1), ((5, 7, 3), (5, 7), 2), ((5, 2, 7, 3), (5, 2, 7), 3)],
)
def test_classes_lie_on_the_second_axis_or_on_the_last(
    output: tuple[int, ...], target: tuple[int, ...], axis: int
) -> None:
    values = torch.randn(output, generator=torch.Generator().manual_seed(1))
    classes = torch.randint(3, target, generator=torch.Generator().manual_seed(2))
    rows = values.movedim(axis, -1).reshape(-1, 3).log_softmax(-1)
    expected = -rows[torch.arange(len(rows)), classes.reshape(-1)].mean()
    torch.testing.assert_close(Loss(LossName.CROSS_ENTROPY)(values, classes), expected)
    assert class_count(output, classes) == 3


@pytest.mark.parametrize("shape", [(7, 3), (7, 4, 3), (7, 3, 4, 2)])
def test_one_hot_targets_cost_what_their_classes_cost(shape: tuple[int, ...]) -> None:
    """Of sequences the last axis counts classes, of images the second: in the loss and in its chance level alike."""
    axis = 1 if len(shape) == 4 else len(shape) - 1
    output = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    positions = [size for index, size in enumerate(shape) if index != axis]
    classes = torch.randint(3, positions, generator=torch.Generator().manual_seed(2))
    rows = functional.one_hot(classes, 3).float().movedim(-1, axis)
    loss = Loss(LossName.CROSS_ENTROPY)
    torch.testing.assert_close(loss(output, rows), loss(output, classes))
    assert loss.chance(rows) == pytest.approx(loss.chance(classes))


def test_a_column_is_compared_with_a_row_element_by_element() -> None:
    output, target = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 2.0, 3.0])
    assert float(Loss(LossName.MSE)(output, target)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("name", "output", "target", "told"),
    [
        (LossName.MSE, torch.zeros(4, 3), torch.zeros(4, 2), ["(4, 3)", "(4, 2)", "mse"]),
        (LossName.CROSS_ENTROPY, torch.zeros(4, 3), torch.zeros(5, dtype=torch.int64), ["(4, 3)", "(5,)"]),
        (LossName.CROSS_ENTROPY, torch.zeros(2, 3), torch.tensor([0, 3]), ["class 3", "0 to 2"]),
        (LossName.NLL, torch.zeros(2, 3), torch.tensor([-1, 0]), ["class -1", "0 to 2"]),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(
    name: LossName, output: Tensor, target: Tensor, told: list[str]
) -> None:
    with pytest.raises(BatchMismatch) as refusal:
        Loss(name)(output, target)
    assert all(word in str(refusal.value) for word in told)


def test_what_is_no_probability_is_a_matter_for_a_finding_not_a_crash() -> None:
    assert math.isfinite(float(Loss(LossName.BCE)(torch.tensor([[1.5], [-0.5]]), torch.tensor([[1.0], [0.0]]))))


@pytest.mark.parametrize("name", [LossName.CROSS_ENTROPY, LossName.NLL])
def test_positions_of_class_minus_100_do_not_count(name: LossName) -> None:
    """They are what torch's `ignore_index` is for: padding of masked language models, borders of segments."""
    masked, output = CLASSES.clone(), LOGITS.log_softmax(1)
    masked[[0, 4]] = -100
    kept = masked != -100
    assert float(Loss(name)(output, masked)) == pytest.approx(float(Loss(name)(output[kept], masked[kept])))
    assert Loss(name).chance(masked) == pytest.approx(Loss(name).chance(masked[kept]))
    with pytest.raises(BatchMismatch, match=r"Every class of the target is -100"):
        Loss(name)(output, torch.full_like(CLASSES, -100))
    with pytest.raises(BatchMismatch, match=r"holds class -1;"):
        Loss(name)(output, masked.where(kept, -1))
