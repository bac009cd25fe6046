"""One training run of a subject on its batch, seeded: same seed, same draws, same order of samples."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from torch import Tensor

from worker.budget import BOTH_WAYS, Deadline
from worker.clipping import Clipper
from worker.course import Run
from worker.network.graph import torch_stream
from worker.network.run import Program
from worker.optimizers import Optimizer
from worker.passes import count
from worker.subject import Subject

LARGEST_STEP: Final = 64
"""Samples per step; a smaller batch is taken whole."""
BEATEN: Final = 0.999
"""Share of the best constant prediction's loss that a run must get below."""
BY_HEART: Final = 0.5
"""The same for a few samples that are learnt by heart."""
LUCK: Final = 0.9
"""Share of the best constant prediction's loss that a random start may have by luck."""
TAIL: Final = 0.1
"""Share of the steps over which losses are averaged before they are compared."""
_NARROWEST: Final = 5
"""Fewest steps that are averaged, unless fewer are run."""


@dataclass
class _Arm:
    """A run under way."""

    optimizer: Optimizer
    leaves: dict[str, Tensor]
    trained: list[Tensor]
    stepper: torch.optim.Optimizer | None
    """None where nothing is to be trained."""
    generator: torch.Generator
    clip: Clipper
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)


class Trainer:
    """A subject's program, ready to be trained from its own weights any number of times."""

    def __init__(self, subject: Subject, few: int | None = None) -> None:
        """Compile the subject's graph once; with `few`, every step takes the same first samples."""
        self._subject = subject
        self._program = Program(subject.graph, subject.device)
        self._few = few
        self._chance = subject.loss.chance(subject.target[:few] if few else subject.target)
        self.step_s = BOTH_WAYS * subject.pass_s
        """Planned seconds of a step."""
        self._partial = few is None and self.splits(subject)

    @staticmethod
    def splits(subject: Subject) -> bool:
        """Whether steps take part of the batch."""
        return subject.batch.size > LARGEST_STEP and subject.divisible

    def run(
        self,
        optimizer: Optimizer,
        steps: int,
        seed: int,
        deadline: Deadline,
        *,
        declared: bool = False,
        goal: float = 0.0,
    ) -> Run:
        """Train a copy of the weights for `steps` steps, or until something is not finite or the deadline passes.

        A run whose recent losses average less than `goal` times the best constant prediction's has shown enough and
        ends. The order of samples and the dropout masks follow `seed` alone, so that runs with one seed can be
        compared.
        """
        arm = self._begun(optimizer, seed)
        width = min(max(_NARROWEST, round(TAIL * steps)), steps)
        weighed = _weight(arm.trained)
        late = False
        for rows in self.rows(steps, seed):
            with deadline.meter.timed("step", self.step_s):
                going = self._step(arm, rows)
            if not going or (len(arm.losses) >= width and _mean(arm.losses[-width:]) < goal * self._chance):
                break
            late = len(arm.losses) < steps and deadline.too_late_for("step")
            if late:
                break
        run = self._summary(arm, width, declared=declared)
        return replace(run, shrinkage=_weight(arm.trained) / weighed if weighed else 1.0, late=late)

    def _begun(self, optimizer: Optimizer, seed: int) -> "_Arm":
        """Return a run before its first step, on a copy of the weights."""
        parameters = self._subject.graph.parameters
        leaves = {name: each.value.detach().float().clone() for name, each in parameters.items()}
        trained = [leaves[name].requires_grad_() for name, each in parameters.items() if each.trainable]
        generator = torch.Generator(self._subject.device).manual_seed(seed)
        stepper = optimizer.build(trained) if trained else None
        return _Arm(optimizer, leaves, trained, stepper, generator, optimizer.clipper())

    def _step(self, arm: "_Arm", rows: Tensor | None) -> bool:
        """Take one step; False where nothing can be trained, or nothing finite is left to train on."""
        loss = self._loss(arm.leaves, rows, arm.generator)
        arm.losses.append(float(loss.detach()))
        if arm.stepper is None or not loss.requires_grad or not math.isfinite(arm.losses[-1]):
            return False
        arm.stepper.zero_grad()
        self._backward(self._subject.penalized(loss, arm.leaves), arm.trained)
        arm.optimizer.pace(arm.stepper, len(arm.norms))
        arm.norms.append(_norm(arm.trained))
        if not math.isfinite(arm.norms[-1]):
            return False
        arm.clip(arm.trained)
        arm.stepper.step()
        count(steps=1)
        return True

    def _backward(self, cost: Tensor, trained: Sequence[Tensor]) -> None:
        """Go back from the loss as it is scaled, and bring the gradients to their own scale again."""
        scale = self._subject.settings.loss_scale
        torch.autograd.backward(cost if scale == 1 else cost * scale)
        for parameter in trained if scale != 1 else ():
            if parameter.grad is not None:
                parameter.grad.div_(scale)

    def _summary(self, arm: "_Arm", width: int, *, declared: bool) -> Run:
        optimizer, losses, norms = arm.optimizer, arm.losses, arm.norms
        final = _mean(losses[-width:])
        lowest = self._lowest(losses, width)
        finite = math.isfinite(final) and all(map(math.isfinite, norms))
        beaten = finite and lowest < self._limit(losses[0])
        start = max(losses[0], self._chance)
        return Run(
            optimizer=optimizer.name,
            learning_rate=optimizer.learning_rate,
            declared=declared,
            losses=tuple(losses),
            final=final,
            lowest=lowest,
            gradient_norms=tuple(norms),
            beaten=beaten,
            diverged=not finite or (len(losses) >= width and not beaten and final > start * (2 - BEATEN)),
            spike=max(losses) / start if finite and start > 0 else math.inf,
            whole=not self._partial,
            by_heart=self._few is not None,
        )

    def _limit(self, start: float) -> float:
        """Return what a run must get below: a share of the best constant's loss, or of its own start's.

        A random start is, by luck, somewhat below the best constant, and staying there is no learning; one that is far
        below knows something already.
        """
        if self._few:
            return BY_HEART * self._chance
        return BEATEN * (start if LUCK * self._chance < start < self._chance else self._chance)

    def _lowest(self, losses: list[float], width: int) -> float:
        """Return the lowest mean over `width` neighbouring steps; infinity where fewer were run.

        Where steps take part of the batch, three standard errors are added, so that a lucky window does not count.  The
        noise is read off neighbouring differences, which a trend leaves alone.
        """
        if len(losses) < width:
            return math.inf
        windows = torch.tensor(losses, dtype=torch.float64).unfold(0, width, 1)
        noise = torch.zeros(())
        if self._partial and width > 2:  # noqa: PLR2004  a spread takes two differences
            noise = 3 * windows.diff(dim=1).std(1) / math.sqrt(2 * width)
        return float((windows.mean(1) + noise).nan_to_num(math.inf, math.inf).min())

    def rows(self, steps: int, seed: int) -> Iterator[Tensor | None]:
        """Yield the samples of each step: all of them, or a reshuffled part (without replacement within a pass)."""
        size = self._subject.batch.size
        if not self._partial:
            yield from [torch.arange(self._few, device=self._subject.device) if self._few else None] * steps
            return
        generator = torch_stream(seed, "order")
        order: list[int] = []
        for _ in range(steps):
            if len(order) < LARGEST_STEP:
                order = torch.randperm(size, generator=generator).tolist()
            yield torch.tensor(order[:LARGEST_STEP], device=self._subject.device)
            order = order[LARGEST_STEP:]

    def _loss(self, leaves: dict[str, Tensor], rows: Tensor | None, generator: torch.Generator) -> Tensor:
        subject = self._subject if rows is None else self._subject.part(rows)
        return subject.cost(self._program, leaves, generator)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _weight(trained: Sequence[Tensor]) -> float:
    """Return the norm of all weight matrices together."""
    return math.sqrt(sum(float(each.detach().square().sum()) for each in trained if each.dim() > 1))


def _norm(parameters: list[Tensor]) -> float:
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    lengths = [torch.linalg.vector_norm(gradient) for gradient in gradients]
    return float(torch.linalg.vector_norm(torch.stack(lengths))) if lengths else 0.0
