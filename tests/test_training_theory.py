"""Training against closed forms: quadratics, decay, range tests, spikes, and trials that learn nothing."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from service.contract.words import LossName, OptimizerName
from tests.probe.subjects import by_hand, chain, dense, described, node
from worker.budget import Deadline, Meter
from worker.course import Run, spikes
from worker.network.graph import Penalty
from worker.optimizers import Optimizer
from worker.probe.evidence import Training
from worker.probe.losses import measure_loss
from worker.probe.regularization import measure_regularization, unregularized
from worker.probe.sweep import sweep
from worker.probe.training import Ask, try_training
from worker.subject import Batch, Settings, Subject
from worker.training import Trainer

RELU = {"kind": "relu"}
FOREVER = Deadline.after(1e9)
SMALL = chain(1, dense(16), RELU)


def sgd(rate: float) -> Optimizer:
    return Optimizer(OptimizerName.SGD, rate)


def run(subject: Subject, optimizer: Optimizer, steps: int = 30, seed: int = 0) -> Run:
    return Trainer(subject).run(optimizer, steps, seed, FOREVER)


def concluded(subject: Subject, ask: Ask) -> Training:
    return try_training(subject, measure_loss(sweep(subject), declared=False), ask, FOREVER)


WIDE = 6.0
"""The largest curvature of the quadratic."""


def quadratic() -> Subject:
    """Return a linear network of two weights whose squared error is ½ Σ λ_i (w_i − w*_i)², with λ = 6 and 1.

    With inputs x = (√6, 0), (0, 1) and one output, mean((w·x − y)²) has the Hessian (2/2) Σ x xᵀ = diag(6, 1).
    """
    inputs = torch.tensor([[math.sqrt(WIDE), 0.0], [0.0, 1.0]])
    subject = by_hand([node("MatMul", "x w", "y")], {"w": torch.tensor([[3.0], [2.0]])}, {"x": inputs})
    return subject.replace(batch=Batch({"x": inputs}, torch.tensor([[1.0], [-1.0]])))


def worst(optimizer: Optimizer, steps: int = 400) -> float:
    """Return the last loss by the first."""
    losses = run(quadratic(), optimizer, steps).losses
    return losses[-1] / losses[0] if len(losses) == steps else math.inf


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        (OptimizerName.SGD, 2 / WIDE),
        (OptimizerName.MOMENTUM, 2 * (1 + 0.9) / WIDE),
        (OptimizerName.NESTEROV, (2 + 2 * 0.9) / ((1 + 2 * 0.9) * WIDE)),
    ],
)
def test_on_a_quadratic_training_diverges_from_just_the_rate_that_theory_gives(
    name: OptimizerName, bound: float
) -> None:
    """Gradient descent: 2/λ.  Heavy ball: 2(1 + β)/λ (Polyak 1964).  Nesterov: (2 + 2β)/((1 + 2β)λ)."""
    assert worst(Optimizer(name, 0.98 * bound)) < 1
    assert worst(Optimizer(name, 1.02 * bound)) > 1


def test_plain_gradient_descent_on_a_quadratic_is_geometric() -> None:
    """L_t = ½ Σ λ_i (1 − ηλ_i)^{2t} d_i²: here d = (3 − 1/√6, 3)."""
    rate, offsets = 0.1, (3 - 1 / math.sqrt(WIDE), 3.0)
    expected = [
        sum(
            0.5 * each * (1 - rate * each) ** (2 * step) * offset**2
            for each, offset in zip((6, 1), offsets, strict=True)
        )
        for step in range(20)
    ]
    assert run(quadratic(), sgd(rate), 20).losses == pytest.approx(expected, rel=1e-4)


def test_weight_decay_shrinks_weights_that_no_loss_pulls_at_by_its_formula() -> None:
    """Without gradient w_t = (1 − ηλ)ᵗ w_0 under plain decay and under AdamW alike."""
    subject = described([dense(4, bias=False)], settings=Settings())
    still = subject.replace(loss=replace(subject.loss, scale=0.0))
    for name in (OptimizerName.SGD, OptimizerName.ADAMW):
        found = run(still, Optimizer(name, 0.1, weight_decay=0.5), 20)
        assert found.shrinkage == pytest.approx(0.95**20, rel=1e-4)


def test_the_range_test_ends_at_the_first_rate_that_diverges() -> None:
    """On the quadratic from a rate of .1: .316 < 2/6 is stable, 1 is not."""
    settings = Settings(optimizer=OptimizerName.SGD, learning_rate=0.1)
    found = concluded(quadratic().replace(settings=settings), Ask(100, ranged=True))
    assert [(point.learning_rate, point.diverged) for point in found.rates] == [(0.316, False), (1.0, True)]
    assert (found.largest_stable_rate, found.bounded) == (0.316, True)


def test_a_range_that_nothing_ends_is_not_bounded() -> None:
    found = concluded(described(chain(2, dense(32), RELU)), Ask(60))
    assert (found.rates, found.largest_stable_rate, found.bounded) == ((), None, False)


def held(weight_decay: float = 0.0, l2: float = 0.0, rate: float | None = 0.1) -> Training:
    settings = Settings(optimizer=OptimizerName.SGD, learning_rate=rate, weight_decay=weight_decay)
    subject = described(chain(2, dense(32), RELU), loss=LossName.CROSS_ENTROPY, settings=settings)
    penalized = {
        name: replace(each, penalty=Penalty(l2=l2)) if l2 else each for name, each in subject.graph.parameters.items()
    }
    return concluded(subject.replace(graph=subject.graph.replace(parameters=penalized)), Ask(200))


def test_a_decay_that_pulls_all_weights_to_zero_is_shown_beside_a_run_without_it() -> None:
    for found in (held(weight_decay=1.0), held(l2=0.5)):
        assert found.regularized is not None
        assert found.unregularized is not None
        assert found.regularized.final > 0.99 * math.log(4)
        assert found.regularized.shrinkage < 0.01
        assert found.unregularized.final < 0.1


def test_an_ordinary_decay_costs_no_second_run() -> None:
    assert held(weight_decay=1e-4).unregularized is None
    assert held().regularized is None


def test_a_trial_without_a_penalty_is_as_long_as_before() -> None:
    """The run without regularization follows the same draws: without any, both are one run."""
    subject = described(chain(2, dense(32), RELU), loss=LossName.CROSS_ENTROPY)
    assert unregularized(subject) is None
    decayed = subject.replace(settings=Settings(weight_decay=0.1))
    free = unregularized(decayed)
    assert free is not None
    assert run(free, sgd(0.1)).losses == run(subject, sgd(0.1)).losses


def test_dropout_is_opened_where_nothing_is_to_hold_back() -> None:
    layers = [dense(32), RELU, {"kind": "dropout", "rate": 0.9}, dense(4)]
    free = unregularized(described(layers))
    assert free is not None
    plain = described([layer for layer in layers if layer["kind"] != "dropout"])
    values = {name: each.value for name, each in free.graph.parameters.items()}
    like = dict(zip(plain.graph.parameters, values.values(), strict=True))
    same = plain.replace(graph=plain.graph.with_parameters(like))
    assert run(free, sgd(0.1)).losses == pytest.approx(run(same, sgd(0.1)).losses, rel=1e-5)


def test_a_dropout_of_whole_channels_is_a_dropout() -> None:
    layers = [{"kind": "conv2d", "filters": 4, "kernel": 3}, {"kind": "spatial_dropout", "rate": 0.3}]
    subject = described([*layers, {"kind": "flatten"}, dense(2)], (3, 8, 8))
    held = measure_regularization(sweep(subject))
    assert held is not None
    assert [share for _, share in held.dropouts] == pytest.approx([0.3])
    free = unregularized(subject)
    assert free is not None
    assert measure_regularization(sweep(free)) is None


def test_the_pull_of_a_decay_is_that_of_the_formula() -> None:
    """‖λw‖ by ‖∇L‖, from torch's own gradient."""
    subject = described(SMALL, settings=Settings(weight_decay=0.25))
    found = sweep(subject)
    gradients = found.gradients(list(found.parameters))
    asked = math.sqrt(sum(float(each.square().sum()) for each in gradients.values()))
    weights = math.sqrt(sum(float(each.value.square().sum()) for each in subject.graph.parameters.values()))
    measured = measure_regularization(found)
    assert measured is not None
    assert measured.pull == pytest.approx(0.25 * weights / asked, rel=1e-5)
    assert measure_regularization(sweep(described(SMALL))) is None


def test_nothing_is_begun_that_by_the_clock_would_end_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("worker.budget.time.monotonic", lambda: now[0])
    deadline = Deadline(Meter(10.0, _start=0.0), 10.0)
    assert not deadline.too_late_for("probe")
    with deadline.meter.timed("probe", 0.5):
        now[0] = 6.0
    assert deadline.meter.spent_s == 0.5
    assert not deadline.passed
    assert not deadline.too_late_for("step")
    assert deadline.too_late_for("probe")
    assert deadline.meter.overrun


def test_a_spike_stands_out_of_its_neighbours_and_a_trend_does_not() -> None:
    """Of e^±.1 around 1 the median is 1 and 1.4826 · MAD is .148, so a norm of e² lies 13.5 above it."""
    calm = [math.exp(0.1 * (-1) ** step) for step in range(100)]
    (found,) = spikes([*calm[:50], math.exp(2), *calm[50:]])
    assert found.step == 50
    assert found.score == pytest.approx(2 / 0.14826, rel=0.1)
    assert found.times == pytest.approx(math.exp(2), rel=0.11)
    assert spikes(calm) == ()
    assert spikes([math.exp(step / 10) for step in range(100)]) == ()
    assert spikes([1.0] * 5 + [100.0]) == ()


def test_lognormal_norms_hardly_ever_have_spikes() -> None:
    """Of runs of 200 norms e^N(0, 1) one in twenty-five has one beyond five robust sigmas of its neighbours."""
    draws = torch.randn(100, 200, generator=torch.Generator().manual_seed(0)).exp().tolist()
    assert sum(bool(spikes(norms)) for norms in draws) <= 10


def noise(layers: Sequence[dict[str, Any]], size: int = 8192) -> Training:
    """Return the trial of a network on inputs and classes that have nothing to do with each other."""
    return concluded(described([*layers, dense(8)], size=size, loss=LossName.CROSS_ENTROPY), Ask(60))


def test_a_network_whose_targets_are_noise_is_asked_to_learn_a_few_samples_by_heart() -> None:
    found = noise([dense(8), RELU])
    assert found.only_by_heart
    assert found.passed
    assert not found.failed
    assert [run.by_heart for run in found.runs][-1:] == [True]
    assert found.best is not None
    assert not found.best.by_heart


def test_a_network_that_nothing_passes_through_learns_nothing_by_heart() -> None:
    found = noise([{"kind": "dense", "units": 16}, {"kind": "sigmoid"}] * 14)
    assert not found.passed
    assert [run.beaten for run in found.runs if run.by_heart] == [False, False]


def test_a_trial_that_has_time_for_one_way_only_is_not_complete() -> None:
    settings = Settings(optimizer=OptimizerName.SGD, learning_rate=1e-6)
    subject = described(chain(2, dense(32), RELU), settings=settings).replace(pass_s=0.01)
    loss = measure_loss(sweep(subject), declared=False)
    found = try_training(subject, loss, Ask(20), Deadline.after(1.6))
    assert len(found.runs[0].losses) == 20
    assert not found.passed
    assert not found.complete


@pytest.mark.parametrize("name", list(OptimizerName))
def test_weight_decay_is_torchs_own_under_every_optimizer(name: OptimizerName) -> None:
    """On the quadratic with a decay of .3: torch's optimizer on a leaf, and ours through a run."""
    subject = quadratic()
    leaf = next(iter(subject.graph.parameters.values())).value.clone().requires_grad_()
    inputs, target = subject.batch.inputs["x"], subject.target
    torchs = {OptimizerName.MOMENTUM: torch.optim.SGD, OptimizerName.NESTEROV: torch.optim.SGD}
    more = {"momentum": 0.9, "nesterov": name is OptimizerName.NESTEROV} if name in torchs else {}
    kinds = {
        "sgd": "SGD",
        "adam": "Adam",
        "nadam": "NAdam",
        "adamw": "AdamW",
        "rmsprop": "RMSprop",
        "adagrad": "Adagrad",
    }
    stepper = torchs.get(name, getattr(torch.optim, kinds.get(name, "SGD")))([leaf], lr=0.01, weight_decay=0.3, **more)
    losses = []
    for _ in range(15):
        loss = nn.functional.mse_loss(inputs @ leaf, target)
        losses.append(float(loss.detach()))
        stepper.zero_grad()
        torch.autograd.backward(loss)
        stepper.step()
    assert run(subject, Optimizer(name, 0.01, weight_decay=0.3), 15).losses == pytest.approx(losses, rel=1e-4)
