"""Runs of one network trained together: their weights stacked, each step one program (`torch.vmap`).

A small network's step is spent on starting operators, not on arithmetic, so that nine runs together take about half of
the time of nine runs one after another (`benchmarks/duels.py`).  Each run keeps its own weights, samples, rate,
clipping and end; what it computes is the same but for rounding.  Whether runs are trained together is decided by the
network, never by the clock (`worker.trial.alike`).
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import structlog
import torch
from torch import Tensor

from service.contract.problem import Trouble
from worker.budget import BOTH_WAYS, Deadline
from worker.network.run import FAULTS, Program
from worker.optimizers import Optimizer
from worker.passes import count
from worker.subject import Subject
from worker.training import Trainer

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Start:
    """A run before its first step."""

    subject: Subject
    optimizer: Optimizer
    seed: int
    """Orders the samples."""


def trained_together(runs: Sequence[Start], steps: int, deadline: Deadline) -> list[list[float]] | None:
    """Return each run's loss at each step until it is not finite any more; None where torch cannot stack the runs.

    The subjects must be `alike`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="There is a performance drop")  # an operator that is not stacked
        try:
            return _Stack(runs).run(steps, deadline)
        except (Trouble, UserWarning, *FAULTS) as error:
            log.info("one_after_another", reason=str(error))
            return None


class _Stack:
    """Runs under way together; the first axis of every leaf counts them."""

    def __init__(self, runs: Sequence[Start]) -> None:
        self._runs = runs
        self._subject = runs[0].subject
        self._program = Program(self._subject.graph, self._subject.device)
        graphs = [run.subject.graph.parameters for run in runs]
        self._leaves = {
            name: torch.stack([graph[name].value.detach().float() for graph in graphs]) for name in graphs[0]
        }
        self._trained = [
            self._leaves[name].requires_grad_() for name, parameter in graphs[0].items() if parameter.trainable
        ]
        self._clippers = [run.optimizer.clipper() for run in runs]
        self._clipped = any(run.optimizer.clipping is not None for run in runs)
        self._groups = list(map(self._group, *self._bounds()))
        self._losses: list[list[float]] = [[] for _ in runs]

    def _bounds(self) -> tuple[list[int], list[int]]:
        """Return where runs begin and end that are stepped alike, one behind the other."""
        sizes = [len(list(group)) for _, group in groupby(replace(run.optimizer, clipping=None) for run in self._runs)]
        ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
        return [0, *ends[:-1]], ends

    def _group(self, begin: int, end: int) -> "_Group":
        parts = [leaf.detach()[begin:end] for leaf in self._trained]
        optimizer = self._runs[begin].optimizer
        return _Group(optimizer, slice(begin, end), parts, optimizer.build(parts))

    def run(self, steps: int, deadline: Deadline) -> list[list[float]]:
        """Train until the last step, or until no run goes on or the deadline passes."""
        live = list(range(len(self._runs)))
        step_s = BOTH_WAYS * self._subject.pass_s
        orders = {run.seed: list(Trainer(self._subject).rows(steps, run.seed)) for run in self._runs}
        for step in range(steps):
            with deadline.meter.timed("steps", step_s * len(live)):
                live = self._step(step, [orders[run.seed][step] for run in self._runs], live)
            if not live or (step + 1 < steps and deadline.too_late_for("steps")):
                break
        return self._losses

    def _step(self, step: int, rows: Sequence[Tensor | None], live: list[int]) -> list[int]:
        """Take one step; return the runs that go on."""
        costs, added = self._costs(rows, live)
        for run, cost in zip(live, torch.stack(costs).tolist(), strict=True):
            self._losses[run].append(cost)
        going = [place for place, run in enumerate(live) if math.isfinite(self._losses[run][-1])]
        if not going or not costs[0].requires_grad:
            return []
        gradients = self._gradients(torch.stack([costs[place] + added[live[place]] for place in going]).sum())
        norms = self._norms(gradients)
        live = [live[place] for place in going if math.isfinite(norms[live[place]])]
        for run in live if self._clipped else ():
            self._clip(run, gradients)
        for group in self._groups:
            group.step(step, gradients)
        count(steps=len(live))
        return live

    def _costs(self, rows: Sequence[Tensor | None], live: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return the losses of the runs that go on, and what the penalties of every run add."""
        batch, parts = self._subject.batch, [each for each in rows if each is not None]
        inputs, targets = batch.inputs, [self._subject.target] * len(rows)
        if parts:
            chosen = torch.stack(parts)
            inputs = {name: value[chosen] for name, value in inputs.items()}
            targets = list(self._subject.target[chosen])
        outputs, added = torch.vmap(self._forward, in_dims=(0, 0 if parts else None))(self._leaves, inputs)
        return [self._subject.loss(outputs[run], targets[run]) for run in live], added

    def _forward(self, weights: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return one run's output, and what its penalties add to the loss."""
        subject = self._subject.replace(batch=replace(self._subject.batch, inputs=inputs))
        return subject.answer(self._program, weights), subject.penalized(
            torch.zeros((), device=subject.device), weights
        )

    def _gradients(self, cost: Tensor) -> list[Tensor | None]:
        """Return each leaf's gradient, in memory of its own where it is clipped in place."""
        scale = self._subject.settings.loss_scale
        found = torch.autograd.grad(cost if scale == 1 else cost * scale, self._trained, allow_unused=True)
        own = self._clipped or scale != 1
        return [each / scale if own and each is not None else each for each in found]

    def _norms(self, gradients: Sequence[Tensor | None]) -> list[float]:
        """Return each run's norm of the whole gradient; 0 where there is none."""
        norms = [torch.linalg.vector_norm(each.reshape(len(each), -1), dim=1) for each in gradients if each is not None]
        return torch.linalg.vector_norm(torch.stack(norms), dim=0).tolist() if norms else [0.0] * len(self._runs)

    def _clip(self, run: int, gradients: Sequence[Tensor | None]) -> None:
        own = [leaf.detach()[run] for leaf in self._trained]
        for each, gradient in zip(own, gradients, strict=True):
            each.grad = None if gradient is None else gradient[run]
        self._clippers[run](own)


@dataclass(frozen=True)
class _Group:
    """Runs that are stepped alike, one behind the other."""

    optimizer: Optimizer
    runs: slice
    parts: Sequence[Tensor]
    stepper: torch.optim.Optimizer

    def step(self, step: int, gradients: Sequence[Tensor | None]) -> None:
        """Take one step; what a run that has ended holds does not matter."""
        for part, gradient in zip(self.parts, gradients, strict=True):
            part.grad = None if gradient is None else gradient[self.runs]
        self.optimizer.pace(self.stepper, step)
        self.stepper.step()
