"""Warm-up, clipping with a memory and the loss's scale, as they act in a run; optimizers written as code."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from service.contract.options import Clipping
from service.contract.words import OptimizerName
from tests.probe.subjects import chain, dense, described, normal
from worker.budget import Deadline
from worker.clipping import OPENING, clipper
from worker.course import Run
from worker.optimizers import Optimizer
from worker.subject import Settings, Subject
from worker.training import Trainer

FOREVER = Deadline.after(1e9)
SMALL = chain(1, dense(16), {"kind": "relu"})
ZSCORE = Clipping(kind="zscore", limit=2.5)


def run(subject: Subject, optimizer: Optimizer, steps: int = 30) -> Run:
    return Trainer(subject).run(optimizer, steps, 0, FOREVER)


@pytest.mark.parametrize("steps", [2, 5, 20])
def test_warm_up_is_torchs_linear_schedule(steps: int) -> None:
    stepper = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule = torch.optim.lr_scheduler.LinearLR(stepper, 1 / steps, total_iters=steps - 1)
    rates = []
    for _ in range(2 * steps):
        rates.append(schedule.get_last_lr()[0])
        stepper.step()
        schedule.step()
    ours = Optimizer(OptimizerName.SGD, 0.3, warmup=steps)
    assert [ours.rate(step) for step in range(2 * steps)] == pytest.approx(rates)


def test_without_warm_up_every_step_has_the_whole_rate() -> None:
    optimizer = Optimizer(OptimizerName.SGD, 0.3)
    assert [optimizer.rate(step) for step in (0, 1, 500)] == [0.3] * 3


@pytest.mark.parametrize("name", [OptimizerName.SGD, OptimizerName.ADAM])
def test_a_run_warms_up_as_torchs_own_training_does(name: OptimizerName) -> None:
    subject = described(SMALL, (5,), size=12)
    network = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        for index, layer in ((0, "layers/0"), (2, "layers/2")):
            network[index].weight.copy_(subject.graph.parameters[f"{layer}.kernel"].value.T)
            network[index].bias.copy_(subject.graph.parameters[f"{layer}.bias"].value)
    kind = {OptimizerName.SGD: torch.optim.SGD, OptimizerName.ADAM: torch.optim.Adam}[name]
    stepper = kind(network.parameters(), 0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(stepper, 1 / 6, total_iters=5)
    losses = []
    for _ in range(12):
        loss = nn.functional.mse_loss(network(subject.batch.inputs["input"]), subject.target)
        losses.append(float(loss.detach()))
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        schedule.step()
    assert run(subject, Optimizer(name, 0.05, warmup=6), 12).losses == pytest.approx(losses, rel=1e-4)


def test_the_first_step_under_warm_up_is_its_first_rates() -> None:
    value, gradient = {"w": torch.ones(3)}, {"w": torch.tensor([1.0, 2.0, 3.0])}
    whole = dict(Optimizer(OptimizerName.SGD, 0.1).first_steps(value, gradient))
    first = dict(Optimizer(OptimizerName.SGD, 0.1, warmup=10).first_steps(value, gradient))
    torch.testing.assert_close(first["w"], whole["w"] / 10, rtol=1e-4, atol=0)


def zclip(norms: list[float], limit: float, smoothing: float = 0.97) -> list[float]:
    """Return what ZClip makes of norms, step by step as the paper's algorithm says it (Kumar et al. 2025)."""
    mean = sum(norms[:25]) / 25
    variance = sum((each - mean) ** 2 for each in norms[:25]) / 25
    kept = norms[:25]
    for norm in norms[25:]:
        z = (norm - mean) / variance**0.5
        clipped = mean + limit**2 / z * variance**0.5 if z > limit else norm
        kept.append(clipped)
        mean = smoothing * mean + (1 - smoothing) * clipped
        variance = smoothing * variance + (1 - smoothing) * (clipped - mean) ** 2
    return kept


def test_clipping_by_zscore_is_the_papers_algorithm() -> None:
    norms = (1 + 0.1 * normal(120, seed=3)).tolist()
    norms[40], norms[41], norms[90] = 30.0, 3.0, 1.6
    clip, kept = clipper(ZSCORE), []
    for norm in norms:
        weight = leaf([0.6 * norm, 0.8 * norm])
        clip([weight])
        kept.append(float(torch.linalg.vector_norm(grad(weight))))
    assert kept == pytest.approx(zclip(norms, 2.5), rel=1e-5)
    assert kept[:OPENING] == pytest.approx(norms[:OPENING], rel=1e-6)
    assert max(kept[40:42]) < 1.6
    assert kept[40] < kept[41], "what stands out further is clipped harder"


def leaf(gradient: list[float]) -> Tensor:
    weight = torch.ones(len(gradient), requires_grad=True)
    weight.grad = torch.tensor(gradient)
    return weight


def grad(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad


def test_norms_that_are_all_alike_or_not_finite_pass() -> None:
    clip = clipper(ZSCORE)
    for value in [*[2.0] * 60, float("inf"), 2.0]:
        weight = leaf([value])
        clip([weight])
        assert grad(weight).tolist() == [value]


def test_a_zscore_keeps_its_memory_within_a_run() -> None:
    """A clipper remembers, and each run has its own: so two runs of one seed are the same."""
    subject, optimizer = described(SMALL), Optimizer(OptimizerName.SGD, 0.1, clipping=ZSCORE)
    assert run(subject, optimizer, 60).losses == run(subject, optimizer, 60).losses


def test_a_scale_of_the_loss_that_is_a_power_of_two_changes_no_number() -> None:
    subject, optimizer = described(SMALL), Optimizer(OptimizerName.SGD, 0.1)
    scaled = subject.replace(settings=replace(subject.settings, loss_scale=1024.0))
    assert run(scaled, optimizer).losses == run(subject, optimizer).losses
    assert run(scaled, optimizer).gradient_norms == run(subject, optimizer).gradient_norms


def test_a_scale_that_overflows_ends_the_run() -> None:
    adam, far = Optimizer(OptimizerName.ADAM, 1e-3), described(SMALL)
    far = far.replace(batch=replace(far.batch, target=1e3 * far.target))
    assert not run(far, adam).diverged
    assert run(far.replace(settings=Settings(loss_scale=3e38)), adam).diverged


@pytest.mark.parametrize("name", list(OptimizerName))
@pytest.mark.parametrize("momentum", [None, 0.0, 0.5])
def test_an_optimizer_written_as_code_is_the_one_that_is_built(name: OptimizerName, momentum: float | None) -> None:
    model = nn.Linear(2, 2)
    optimizer = Optimizer(name, 0.01, momentum, 0.02)
    written = eval(optimizer.written()["torch"], {"torch": torch, "model": model})  # noqa: S307  our own code
    built = optimizer.build(list(model.parameters()))
    assert type(written) is type(built)
    assert {**written.param_groups[0], "params": 0} == {**built.param_groups[0], "params": 0}
