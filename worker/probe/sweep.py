"""A sweep: one forward run with every value kept, the loss, and gradients of whatever is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from service.contract.problem import Unfit
from service.contract.words import Mode
from worker.network.retype import retyped
from worker.network.run import Program
from worker.passes import count
from worker.probe.path import Path, trace_path
from worker.subject import Subject


@dataclass(frozen=True)
class Sweep:
    """Every value of one run of a subject, ready for gradients."""

    subject: Subject
    values: Mapping[str, Tensor]
    states: Mapping[str, tuple[Tensor, ...]]
    parameters: Mapping[str, Tensor]
    loss: Tensor

    @cached_property
    def path(self) -> Path:
        """The differentiable path from the batch to the loss."""
        return trace_path(self.subject.graph, self.values, self.subject.output)

    def gradients(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Return the loss's gradient at the named values and parameters; those that it does not reach are left out."""
        wanted = [name for name in names if self._leaf(name).requires_grad]
        if not wanted or not self.loss.requires_grad:
            return {}
        count(backward=1)
        found = torch.autograd.grad(
            self.loss, [self._leaf(name) for name in wanted], retain_graph=True, allow_unused=True
        )
        return {name: value for name, value in zip(wanted, found, strict=True) if value is not None}

    def _leaf(self, name: str) -> Tensor:
        return self.parameters[name] if name in self.parameters else self.values[name]


def sweep(subject: Subject, *, double: bool = False, jitter: float = 0.0) -> Sweep:
    """Run the subject forward once, with gradients.

    `double` computes in float64; `jitter` adds Gaussian noise of that standard deviation to parameters that are all
    zero, so that branches held shut by a zero-initialised factor (Fixup, ReZero, zero gamma) open.
    """
    kind = torch.float64 if double else torch.float32
    graph = retyped(subject.graph, {torch.float32}, kind) if double else subject.graph
    parameters = {}
    for name, parameter in graph.parameters.items():
        value = parameter.value.detach().to(kind)
        if jitter and not bool(value.any()):
            noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(subject.seed))
            value = value + jitter * noise.to(value)
        parameters[name] = value.clone().requires_grad_(parameter.trainable)
    trace = Program(graph, subject.device).trace(
        {name: _fed(value, kind) for name, value in subject.batch.inputs.items()},
        parameters,
        training=subject.mode is Mode.TRAIN,
        generator=torch.Generator(subject.device).manual_seed(subject.seed),
    )
    count(forward=1)
    output = trace.values[subject.output]
    loss = subject.loss(output if double else output.float(), _target(subject, kind))
    return Sweep(subject, trace.values, trace.states, parameters, loss)


def sweep_double(subject: Subject, jitter: float) -> Sweep | None:
    """Return a float64 sweep; None where the network holds operators that will not run so."""
    try:
        return sweep(subject, double=True, jitter=jitter)
    except (RuntimeError, TypeError, Unfit):
        return None


def _target(subject: Subject, kind: torch.dtype) -> Tensor:
    target = subject.target
    return target.to(kind) if target.is_floating_point() else target


def _fed(value: Tensor, kind: torch.dtype) -> Tensor:
    """Return an input that a gradient can be asked for."""
    return value.detach().to(kind).clone().requires_grad_() if value.is_floating_point() else value
