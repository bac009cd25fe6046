"""What a number format loses, against the Gaussian's closed forms."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from service.contract.words import LossName, OptimizerName, Precision
from tests.probe.subjects import by_hand, described, node, normal
from worker.loss import Loss
from worker.probe.evidence import PrecisionEvidence
from worker.probe.precision import measure_precision
from worker.probe.sweep import sweep
from worker.probe.training import usual_optimizer
from worker.subject import Settings, Subject


def below(limit: float, deviation: float) -> float:
    """Return the share of centred Gaussian numbers of magnitude under `limit`."""
    return math.erf(limit / deviation / math.sqrt(2))


def linear(kernel: Tensor, *, samples: int = 64) -> Subject:
    return by_hand([node("MatMul", "x w", "y")], {"w": kernel}, {"x": normal(samples, len(kernel), seed=3)})


def measured(subject: Subject, precision: Precision, **settings: object) -> PrecisionEvidence:
    told = subject.replace(settings=Settings(precision=precision, **settings))  # type: ignore[arg-type]
    found = measure_precision(sweep(told), usual_optimizer(told))
    assert found is not None
    return found


@pytest.mark.parametrize("rms", [1e-5, 1e-7, 3e-8, 1e-8])
def test_float16_flushes_the_share_of_a_gaussian_gradient_below_half_its_smallest_number(rms: float) -> None:
    subject = linear(normal(256, 64) / 16)
    plain = measured(subject, Precision.FLOAT16).weights[0].rms
    (weight,) = measured(subject.replace(loss=Loss(LossName.MSE, scale=rms / plain)), Precision.FLOAT16).weights
    assert weight.rms == pytest.approx(rms, rel=1e-3)
    assert weight.flushed == pytest.approx(below(2**-25, rms), abs=0.02)


def test_a_gradient_that_is_all_flushed_loses_its_whole_norm_and_a_large_one_its_last_digits() -> None:
    subject = linear(normal(32, 8))
    gone = measured(subject.replace(loss=Loss(LossName.MSE, scale=1e-12)), Precision.FLOAT16).weights[0]
    kept = measured(subject, Precision.FLOAT16).weights[0]
    assert (gone.flushed, gone.lost) == (1.0, pytest.approx(1.0))
    assert kept.flushed == 0
    assert 2**-14 < kept.lost < 2**-11


@pytest.mark.parametrize(("rate", "share"), [(1e-5, 0.950), (1e-4, 0.617), (3e-4, 0.046)])
def test_adams_first_step_stalls_in_bfloat16_where_it_is_less_than_half_the_last_digit(
    rate: float, share: float
) -> None:
    """Of He's 512 wide kernel, of standard deviation 1/16: numbers from 2ᵉ to 2ᵉ⁺¹ stay where the rate is < 2ᵉ⁻⁸."""
    smallest = 2 ** math.ceil(math.log2(rate * 2**8))
    assert 1 - below(smallest, 1 / 16) == pytest.approx(share, abs=1e-3)
    kernel = normal(512, 128) / 16
    found = measured(linear(kernel), Precision.BFLOAT16, optimizer=OptimizerName.ADAM, learning_rate=rate)
    assert found.stalled == pytest.approx(share, abs=0.01)


def test_a_step_is_made_by_the_numbers_that_move() -> None:
    """Beside 1, bfloat16 has steps of 2⁻⁷: of (2⁻⁷, 2⁻⁹, 2⁻⁹) the first is made, 1 / (1 + 2/16) of it."""
    step = torch.tensor([[2.0**-7], [2.0**-9], [2.0**-9]])
    subject = by_hand([node("MatMul", "x w", "y")], {"w": torch.ones(3, 1)}, {"x": torch.eye(3)})
    away = subject.replace(batch=replace(subject.batch, target=1 + 1.5 * step))
    found = measured(away, Precision.BFLOAT16, optimizer=OptimizerName.SGD, learning_rate=1.0)
    assert found.stalled == pytest.approx(2 / 3)
    assert found.made == pytest.approx(1 / (1 + 2 / 16), rel=1e-4)


def test_a_value_beyond_65504_overflows_float16_and_not_bfloat16() -> None:
    subject = linear(2e4 * normal(16, 4).clamp(-3, 3))
    (overflow,) = measured(subject, Precision.FLOAT16).overflows
    output = sweep(subject).values["y"].detach().abs()
    assert overflow.node == "y"
    assert overflow.share == pytest.approx(float((output >= 65520).double().mean()))
    assert overflow.largest == pytest.approx(float(output.max()))
    assert measured(subject, Precision.BFLOAT16).overflows == ()
    first = measured(linear(1e6 * normal(16, 4)), Precision.FLOAT16).overflows[0]
    assert (first.node, first.op) == ("y", "weight")


def test_the_large_negative_numbers_of_a_mask_overflow_nothing() -> None:
    nodes = [node("MatMul", "x w", "s"), node("Add", "s mask", "m"), node("Softmax", "m", "y", axis=-1)]
    mask = torch.tensor([0.0, 0.0, -1e9])
    subject = by_hand(nodes, {"w": normal(4, 3)}, {"x": normal(8, 4)}, constants={"mask": mask})
    assert measured(subject, Precision.FLOAT16).overflows == ()


def test_float32_loses_nothing_and_costs_nothing() -> None:
    subject = described([{"kind": "dense", "units": 4}])
    assert measure_precision(sweep(subject), usual_optimizer(subject)) is None
