"""Training runs: seeded, complete, clipped as the formulas say, and stepped as torch's own optimizers step."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from service.contract.options import Clipping
from service.contract.words import LossName, OptimizerName
from tests.probe.subjects import by_hand, chain, dense, described, node, normal, tensors
from worker.budget import Deadline
from worker.course import Run
from worker.optimizers import Optimizer
from worker.probe.evidence import Training
from worker.probe.losses import measure_loss
from worker.probe.sweep import sweep
from worker.probe.training import Ask, try_training
from worker.subject import Batch, Settings, Subject
from worker.training import LARGEST_STEP, Trainer

RELU = {"kind": "relu"}
FOREVER = Deadline.after(1e9)
SMALL = chain(1, dense(16), RELU)
TORCHS = {
    OptimizerName.SGD: torch.optim.SGD,
    OptimizerName.MOMENTUM: lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9),
    OptimizerName.NESTEROV: lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True),
    OptimizerName.ADAM: torch.optim.Adam,
    OptimizerName.NADAM: torch.optim.NAdam,
    OptimizerName.ADAMW: lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0),
    OptimizerName.RMSPROP: torch.optim.RMSprop,
    OptimizerName.ADAGRAD: torch.optim.Adagrad,
}


def sgd(rate: float) -> Optimizer:
    return Optimizer(OptimizerName.SGD, rate)


def run(subject: Subject, optimizer: Optimizer, steps: int = 30, seed: int = 0) -> Run:
    return Trainer(subject).run(optimizer, steps, seed, FOREVER)


@pytest.mark.parametrize("name", list(OptimizerName))
def test_every_optimizer_steps_as_torchs_own_on_torchs_own_network(name: OptimizerName) -> None:
    subject = described(SMALL, (5,), size=12)
    parameters = {key: each.value for key, each in subject.graph.parameters.items()}
    network = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        for index, layer in ((0, "layers/0"), (2, "layers/2")):
            network[index].weight.copy_(parameters[f"{layer}.kernel"].T)
            network[index].bias.copy_(parameters[f"{layer}.bias"])
    stepper = TORCHS[name](network.parameters(), 0.01)
    losses = []
    for _ in range(10):
        loss = nn.functional.mse_loss(network(subject.batch.inputs["input"]), subject.target)
        losses.append(float(loss.detach()))
        stepper.zero_grad()
        loss.backward()
        stepper.step()
    assert run(subject, Optimizer(name, 0.01), 10).losses == pytest.approx(losses, rel=1e-4)


def test_momentum_and_weight_decay_reach_the_optimizer() -> None:
    leaf = torch.ones(2, requires_grad=True)
    group = Optimizer(OptimizerName.MOMENTUM, 0.1, momentum=0.5, weight_decay=0.25).build([leaf]).param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.5, 0.25)
    assert Optimizer(OptimizerName.MOMENTUM, 0.1).build([leaf]).param_groups[0]["momentum"] == 0.9
    assert Optimizer(OptimizerName.SGD, 0.1).build([leaf]).param_groups[0]["momentum"] == 0


def test_runs_of_one_seed_are_identical_and_leave_the_subject_as_it_was() -> None:
    layers = [*SMALL[:2], {"kind": "dropout", "rate": 0.5}, SMALL[-1]]
    subject = described(layers, size=200)
    before = tensors(subject)
    first, again, other = (run(subject, sgd(0.1), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.losses != other.losses
    after = tensors(subject)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_trainer_can_be_used_again_from_the_same_weights() -> None:
    trainer = Trainer(described(SMALL))
    first = trainer.run(sgd(0.1), 10, 0, FOREVER)
    trainer.run(sgd(10.0), 10, 1, FOREVER)
    assert trainer.run(sgd(0.1), 10, 0, FOREVER) == first


def test_a_large_batch_is_taken_in_parts_that_cover_every_sample_once_a_pass() -> None:
    """A loss whose gradient counts samples: each sample's own weight falls by one step per visit."""
    size = 3 * LARGEST_STEP + 8
    subject = described([{"kind": "dense", "units": 1, "bias": False, "init": "zeros"}], (size,), size=size)
    visits = torch.zeros(size)
    steps = size // LARGEST_STEP
    for rows in Trainer(subject).rows(2 * steps, 5):
        assert rows is not None
        assert len(rows) == LARGEST_STEP == len(set(rows.tolist()))
        visits[rows] += 1
    assert visits.max() == 2
    assert visits.sum() == 2 * steps * LARGEST_STEP
    assert (visits == 0).sum() <= 8


def test_a_small_batch_is_taken_whole() -> None:
    subject = described(SMALL, size=LARGEST_STEP)
    measured = run(subject, sgd(0.0), 3)
    assert measured.losses == pytest.approx([float(sweep(subject).loss.detach())] * 3)


def test_nesterov_without_momentum_is_plain_gradient_descent() -> None:
    subject = described(SMALL)
    still = run(subject, Optimizer(OptimizerName.NESTEROV, 0.1, momentum=0.0))
    assert still.losses == run(subject, sgd(0.1)).losses


@pytest.mark.parametrize("steps", [1, 4])
def test_a_run_of_fewer_steps_than_are_averaged_still_has_a_lowest_loss(steps: int) -> None:
    measured = run(described(SMALL), sgd(0.01), steps)
    assert len(measured.losses) == steps
    assert measured.lowest == pytest.approx(sum(measured.losses) / steps)


def test_a_batch_is_taken_whole_where_an_input_counts_something_else_than_samples() -> None:
    size = 2 * LARGEST_STEP
    nodes = [node("ReduceMean", "c axes", "m", keepdims=1), node("Add", "x m", "s"), node("MatMul", "s w", "y")]
    inputs, axes = {"x": normal(size, 5), "c": normal(7, 5, seed=1)}, {"axes": torch.tensor([0])}
    subject = by_hand(nodes, {"w": normal(5, 3)}, inputs, constants=axes)
    measured = run(subject, sgd(0.0), 3)
    assert measured.losses == pytest.approx([float(sweep(subject).loss.detach())] * 3)


def test_float64_inputs_train_as_float32_ones() -> None:
    subject = described(SMALL)
    doubled = {name: value.double() for name, value in subject.batch.inputs.items()}
    wide = subject.replace(batch=replace(subject.batch, inputs=doubled))
    assert run(wide, sgd(0.1)).losses == pytest.approx(run(subject, sgd(0.1)).losses, rel=1e-5)


def test_an_absurd_rate_is_seen_to_diverge_and_a_fair_one_to_learn() -> None:
    subject = described(chain(2, dense(32), RELU))
    wild, fair = run(subject, sgd(50.0), 100), run(subject, sgd(0.1), 100)
    assert wild.diverged
    assert not wild.beaten
    assert fair.beaten
    assert not fair.diverged
    assert fair.final < fair.losses[0]
    assert fair.lowest == pytest.approx(fair.final, rel=0.05)


def test_a_run_ends_where_its_goal_is_reached_or_the_time_is_up() -> None:
    subject = described(chain(2, dense(32), RELU))
    trainer, optimizer = Trainer(subject), Optimizer(OptimizerName.ADAM, 1e-2)
    full = trainer.run(optimizer, 200, 0, FOREVER)
    early = trainer.run(optimizer, 200, 0, FOREVER, goal=0.5)
    assert 20 <= len(early.losses) < len(full.losses) == 200
    tail = early.losses[-20:]
    assert sum(tail) / 20 < 0.5 * subject.loss.chance(subject.target)
    assert early.losses == full.losses[: len(early.losses)]
    assert len(trainer.run(optimizer, 200, 0, Deadline.after(0)).losses) == 1


def gradients(*values: list[float]) -> list[Tensor]:
    """Return weights of ones with these gradients."""
    weights = []
    for value in values:
        weight = torch.ones(len(value), requires_grad=True)
        weight.grad = torch.tensor(value)
        weights.append(weight)
    return weights


def clipped(kind: str, limit: float, weights: list[Tensor]) -> list[list[float]]:
    clipping = Clipping.model_validate({"kind": kind, "limit": limit})
    Optimizer(OptimizerName.SGD, 0.1, clipping=clipping).clip(weights)
    return [weight.grad.tolist() for weight in weights if weight.grad is not None]


def test_clipping_by_norm_scales_all_gradients_together() -> None:
    """The norm of (3, 4) and (12) is 13; limited to 1.3 everything is a tenth."""
    (first, second) = clipped("norm", 1.3, gradients([3.0, 4.0], [12.0]))
    assert first == pytest.approx([0.3, 0.4], rel=1e-4)
    assert second == pytest.approx([1.2], rel=1e-4)
    assert clipped("norm", 20, gradients([3.0, 4.0])) == [[3.0, 4.0]]


def test_clipping_by_value_cuts_each_number() -> None:
    assert clipped("value", 3.5, gradients([3.0, 4.0], [-12.0])) == [[3.0, 3.5], [-3.5]]


def test_adaptive_clipping_limits_each_unit_by_its_own_weight() -> None:
    """‖g_i‖ ≤ λ max(‖w_i‖, 10⁻³), row by row (Brock et al. 2021): rows of norm 5 and 0 allow 0.5 and 10⁻⁴."""
    weight = torch.tensor([[3.0, 4.0], [0.0, 0.0], [30.0, 40.0]], requires_grad=True)
    weight.grad = torch.tensor([[6.0, 8.0], [0.0, 2.0], [0.3, 0.4]])
    clipped("agc", 0.1, [weight])
    expected = torch.tensor([[0.3, 0.4], [0.0, 1e-4], [0.3, 0.4]])
    torch.testing.assert_close(weight.grad, expected)


def test_clipping_takes_part_in_a_run() -> None:
    """Plain gradient descent under a norm limit c moves all weights together by at most lr · c per step."""
    subject = described(SMALL)
    free, bound = sgd(0.1), Optimizer(OptimizerName.SGD, 0.1, clipping=Clipping(kind="norm", limit=1e-6))
    assert run(subject, free).losses[-1] < 0.9 * run(subject, free).losses[0]
    assert run(subject, bound).losses == pytest.approx([run(subject, bound).losses[0]] * 30, rel=1e-4)


def trial(subject: Subject, steps: int = 60) -> tuple[Subject, list[Run]]:
    loss = measure_loss(sweep(subject), declared=False)
    return subject, list(try_training(subject, loss, Ask(steps), FOREVER).runs)


def test_without_a_declared_optimizer_adam_suffices_where_it_learns() -> None:
    _, runs = trial(described(chain(2, dense(32), RELU)))
    assert [(each.optimizer, each.beaten, each.declared) for each in runs] == [("adam", True, False)]


def test_a_network_that_adam_cannot_teach_is_tried_under_sgd_as_well() -> None:
    _, runs = trial(described(chain(10, {"kind": "dense", "units": 16}, {"kind": "sigmoid"})))
    assert [each.optimizer for each in runs] == ["adam", "sgd"]
    assert not any(each.beaten for each in runs)


def test_a_declared_rate_goes_first_and_what_learns_instead_is_suggested() -> None:
    settings = Settings(optimizer=OptimizerName.SGD, learning_rate=50.0)
    subject = described(chain(2, dense(32), RELU), settings=settings)
    found = try_training(subject, measure_loss(sweep(subject), declared=False), Ask(60), FOREVER)
    assert [(each.declared, each.diverged) for each in found.runs] == [(True, True), (False, False)]
    assert found.passed
    assert found.stable_learning_rate == found.suggested_learning_rate == found.runs[1].learning_rate


def concluded(subject: Subject, ask: Ask) -> Training:
    return try_training(subject, measure_loss(sweep(subject), declared=False), ask, FOREVER)


def test_a_run_that_shoots_up_gets_a_clip_limit_the_ninth_decile_of_the_norms_of_the_run_that_learnt() -> None:
    settings = Settings(optimizer=OptimizerName.SGD, learning_rate=50.0)
    found = concluded(described(chain(2, dense(32), RELU), settings=settings), Ask(60))
    norms = found.runs[1].gradient_norms
    assert found.suggested_clip in norms
    assert sum(norm <= found.suggested_clip for norm in norms) / len(norms) == pytest.approx(0.9, abs=0.05)


def test_a_calm_run_gets_no_clip_limit() -> None:
    assert concluded(described(chain(2, dense(32), RELU)), Ask(60)).suggested_clip is None


def test_the_measured_norms_are_the_whole_gradients() -> None:
    subject = described(SMALL)
    found = sweep(subject)
    expected = math.sqrt(sum(float(each.square().sum()) for each in found.gradients(list(found.parameters)).values()))
    assert run(subject, sgd(0.1), 2).gradient_norms[0] == pytest.approx(expected, rel=1e-5)


def test_a_model_that_comes_trained_is_not_tried() -> None:
    subject = described(SMALL)
    outputs = sweep(subject).values[subject.output].detach()
    trained = subject.replace(batch=Batch(subject.batch.inputs, outputs + 0.01))
    found = try_training(trained, measure_loss(sweep(trained), declared=False), Ask(60), FOREVER)
    assert found.converged
    assert found.passed
    assert found.runs == ()


def test_targets_that_are_all_the_same_allow_no_judgement() -> None:
    subject = described(SMALL, loss=LossName.CROSS_ENTROPY)
    same = subject.replace(batch=replace(subject.batch, target=torch.zeros_like(subject.target)))
    found = try_training(same, measure_loss(sweep(same), declared=False), Ask(60), FOREVER)
    assert (found.judged, found.failed, found.runs) == (False, False, ())


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_batch_is_learnt_at_any_scale_of_the_loss(scale: float) -> None:
    subject = described(chain(2, dense(32), RELU))
    scaled = subject.replace(loss=replace(subject.loss, scale=scale))
    optimizer = Optimizer(OptimizerName.ADAM, 1e-3)
    expected, measured = run(subject, optimizer, 200), run(scaled, optimizer, 200)
    assert (measured.beaten, measured.diverged) == (expected.beaten, expected.diverged) == (True, False)
    assert measured.losses[0] == pytest.approx(scale * expected.losses[0], rel=1e-5)
