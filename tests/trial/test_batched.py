"""Runs trained together: each does what it does alone, and what torch cannot stack is trained one after another."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from service.contract.options import Clipping
from service.contract.words import LossName, OptimizerName
from tests.case_files import bench, read
from tests.probe.subjects import by_hand, chain, dense, described, node, normal
from worker.budget import Deadline
from worker.network.graph import Penalty
from worker.passes import Passes, counted
from worker.subject import Settings, Subject
from worker.treatments import treatments
from worker.trial import duel
from worker.trial.alike import BUSY, FEWEST, LARGEST, alike, worthwhile
from worker.trial.batched import Start, trained_together
from worker.trial.duel import FIRST, RATES, STEPS, log_loss, log_losses

RELU, NORM = {"kind": "relu"}, {"kind": "layer_norm"}
SMALL = chain(3, dense(16), RELU)
BLOCK = {"kind": "transformer_block", "heads": 2}
RESIDUAL = {"kind": "residual", "layers": [dense(16), RELU, dense(16)]}
CONVOLUTION = {"kind": "conv2d", "filters": 4, "kernel": 3, "padding": "same"}


def trained_by(name: OptimizerName, rate: float, **more: Any) -> Settings:  # noqa: ANN401
    return Settings(name, rate, **more)


SGD, ADAM = OptimizerName.SGD, OptimizerName.ADAM
CLIPPED = trained_by(SGD, 0.1, clipping=Clipping(kind="norm", limit=0.1))
SUBJECTS: Mapping[str, Subject] = {
    "dense": described(SMALL),
    "residual": described([dense(16), *[RESIDUAL] * 3, dense(4)]),
    "batch norm": described(chain(3, dense(16), {"kind": "batch_norm"}, RELU)),
    "layer norm, classes": described(chain(3, dense(16), NORM, RELU), loss=LossName.CROSS_ENTROPY),
    "transformer": described([BLOCK, {"kind": "flatten"}, dense(4)], (6, 8), size=16),
    "convolutions": described([CONVOLUTION, RELU, {"kind": "flatten"}, dense(4)], (3, 6, 6), size=8),
    "a batch in parts": described(SMALL, size=150),
    "classes in parts": described(SMALL, size=150, loss=LossName.CROSS_ENTROPY),
    "clipped by norm": described(SMALL, settings=CLIPPED),
    "clipped by value": described(SMALL, settings=replace(CLIPPED, clipping=Clipping(kind="value", limit=0.01))),
    "clipped by unit": described(SMALL, settings=replace(CLIPPED, clipping=Clipping(kind="agc", limit=0.01))),
    "clipped by deviation": described(SMALL, settings=replace(CLIPPED, clipping=Clipping(kind="zscore", limit=2))),
    "warmed up, scaled": described(SMALL, settings=trained_by(ADAM, 0.01, warmup=10, loss_scale=1024.0)),
    **{f"by {name}": described(SMALL, settings=trained_by(name, 0.01, weight_decay=0.1)) for name in OptimizerName},
    "some runs diverge": described(SMALL, settings=trained_by(SGD, 2.0)),
    "every run diverges": described(SMALL, settings=trained_by(SGD, 1e6)),
}


def pairs(subject: Subject) -> dict[int, Subject]:
    return {seed: subject.redrawn(seed) for seed in range(FIRST)}


def together(subjects: Mapping[int, Subject], deadline: Deadline) -> list[list[float]] | None:
    starts = [Start(each, duel._at(each, rate), seed) for rate in RATES for seed, each in subjects.items()]  # noqa: SLF001
    return trained_together(starts, STEPS, deadline)


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many runs were trained together, each time that they were."""
    seen: list[int] = []

    def noted(runs: list[Start], steps: int, deadline: Deadline) -> list[list[float]] | None:
        found = trained_together(runs, steps, deadline)
        seen.append(0 if found is None else len(runs))
        return found

    monkeypatch.setattr(duel, "trained_together", noted)
    return seen


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small operators wait for threads longer than they work."""
    own = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(own)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_run_ends_where_it_ends_alone_and_costs_the_same_steps(name: str, stacked: list[int]) -> None:
    subjects = pairs(SUBJECTS[name])
    apart, joint = Deadline.after(1e9), Deadline.after(1e9)
    with counted(Passes()) as alone:
        wanted = {seed: log_loss(each, seed, RATES, apart) for seed, each in subjects.items()}
    with counted(Passes()) as at_once:
        found = log_losses(subjects, RATES, joint)
    assert stacked == [len(subjects) * len(RATES)]
    assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    assert at_once == alone
    assert joint.meter.spent_s == pytest.approx(apart.meter.spent_s)


def test_penalties_pull_on_every_run_and_are_not_told() -> None:
    subject = described(SMALL)
    parameters = {
        name: replace(each, penalty=Penalty(l1=0.01, l2=0.1, rows=0.1)) if each.value.dim() > 1 else each
        for name, each in subject.graph.parameters.items()
    }
    pulled = subject.replace(graph=subject.graph.replace(parameters=parameters))
    wanted = {seed: log_loss(each, seed, RATES, Deadline.after(1e9)) for seed, each in pairs(pulled).items()}
    assert log_losses(pairs(pulled), RATES, Deadline.after(1e9)) == pytest.approx(wanted, rel=1e-3)
    free = log_losses(pairs(subject), RATES, Deadline.after(1e9))
    assert all(abs(free[seed] - wanted[seed]) > 0.01 for seed in wanted)


def test_each_run_stops_at_its_own_divergence() -> None:
    losses = together(pairs(SUBJECTS["some runs diverge"]), Deadline.after(1e9))
    assert losses is not None
    lengths = [len(each) for each in losses]
    assert lengths[:FIRST] == [STEPS] * FIRST
    assert max(lengths[-FIRST:]) < STEPS


def test_what_does_not_stack_is_trained_one_after_another(monkeypatch: pytest.MonkeyPatch, stacked: list[int]) -> None:
    """A recurrent operator has no rule for stacked weights, and dropout would draw the same for every run."""
    cell = described([{"kind": "lstm", "units": 4}, dense(4)], (5, 3), size=8)
    dropped = described([*SMALL, {"kind": "dropout", "rate": 0.5}, dense(4)])
    assert not worthwhile(cell, FEWEST)
    assert not worthwhile(dropped, FEWEST)
    monkeypatch.setattr(duel, "worthwhile", lambda *_: True)
    for subject in (cell, dropped):
        wanted = {seed: log_loss(each, seed, RATES, Deadline.after(1e9)) for seed, each in pairs(subject).items()}
        assert log_losses(pairs(subject), RATES, Deadline.after(1e9)) == wanted
    assert stacked == [0, 0]


def test_what_is_large_or_busy_or_few_is_trained_one_after_another() -> None:
    subject = described(SMALL)
    assert worthwhile(subject, FEWEST)
    assert not worthwhile(subject, FEWEST - 1)
    held = sum(each.value.numel() for each in subject.graph.parameters.values())
    assert not worthwhile(subject, LARGEST // held + 1)
    assert not worthwhile(described(chain(2, dense(256), RELU)), FEWEST)
    assert not worthwhile(subject.replace(pass_s=1.01 * BUSY * len(subject.graph.nodes)), FEWEST)


def test_where_the_plan_is_short_of_time_runs_are_cut_off_as_they_would_be_alone(stacked: list[int]) -> None:
    subjects = pairs(described(SMALL).replace(pass_s=1e-5))
    apart, joint = (replace(Deadline.after(1e9), at=0.003) for _ in range(2))
    wanted = {seed: log_loss(each, seed, RATES, apart) for seed, each in subjects.items()}
    assert log_losses(subjects, RATES, joint) == wanted
    assert not stacked


def test_subjects_are_alike_that_differ_in_the_values_of_their_weights_alone() -> None:
    subject = described(SMALL)
    shifted = subject.batch.inputs["input"] + 1
    others = {
        "wider": described(chain(3, dense(17), RELU)),
        "another operator": described(chain(3, dense(16), {"kind": "tanh"})),
        "another batch": subject.replace(batch=replace(subject.batch, inputs={"input": shifted})),
        "another target": subject.replace(batch=replace(subject.batch, target=subject.target + 1)),
        "another loss": subject.replace(loss=replace(subject.loss, scale=2.0)),
        "another loss scale": subject.replace(settings=Settings(loss_scale=2.0)),
    }
    assert alike(subject, subject.redrawn(5))
    assert alike(subject, described(SMALL, seed=0))
    assert not [name for name, other in others.items() if alike(subject, other)]


def test_constants_and_attributes_are_compared_by_their_numbers() -> None:
    def scaled(by: float, to: float) -> Subject:
        nodes = [node("Mul", "x w", "k"), node("Mul", "k c", "m"), node("LeakyRelu", "m", "y", alpha=to)]
        return by_hand(nodes, {"w": normal(3)}, {"x": normal(4, 3)}, constants={"c": torch.tensor(by)})

    assert alike(scaled(2.0, 0.1), scaled(2.0, 0.1).replace(seed=7))
    assert not alike(scaled(2.0, 0.1), scaled(3.0, 0.1))
    assert not alike(scaled(2.0, 0.1), scaled(2.0, 0.2))


@pytest.mark.parametrize("names", [("layer-norm",), ("clip-norm",), ("he-init",)])
def test_a_duel_ends_alike_however_its_runs_are_trained(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacked: list[int]
) -> None:
    chosen = [treatments[name] for name in names]
    measured = bench(read("INI01", "sick"), tmp_path)
    joint = measured.duel(chosen)
    assert stacked
    assert all(stacked)
    monkeypatch.setattr(duel, "worthwhile", lambda *_: False)
    apart = bench(read("INI01", "sick"), tmp_path).duel(chosen)
    assert joint.gains == pytest.approx(apart.gains, rel=1e-3, abs=1e-4)
