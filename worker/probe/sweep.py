"""A sweep: one forward run with every value kept, the loss, and gradients of whatever is asked for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

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
    program: Program
    """What ran it, ready to run again."""

    @cached_property
    def path(self) -> Path:
        """The differentiable path from the batch to the loss."""
        return trace_path(self.subject.graph, self.values, self.subject.output)

    def gradients(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Return the loss's gradient at the named values and parameters; those that it does not reach are left out.

        One backward pass serves all that are asked for together, and what was asked for once is kept.
        """
        wanted = list(dict.fromkeys(names))
        missing = [name for name in wanted if name not in self._known]
        if missing:
            self._known.update(self._pulled(missing))
        return {name: value for name in wanted if (value := self._known[name]) is not None}

    @cached_property
    def _known(self) -> dict[str, Tensor | None]:
        return {}

    def _pulled(self, names: Sequence[str]) -> dict[str, Tensor | None]:
        found: dict[str, Tensor | None] = dict.fromkeys(names)
        wanted = [name for name in names if self._leaf(name).requires_grad]
        if wanted and self.loss.requires_grad:
            count(backward=1)
            leaves = [self._leaf(name) for name in wanted]
            pulled = torch.autograd.grad(self.loss, leaves, retain_graph=True, allow_unused=True)
            found.update(zip(wanted, pulled, strict=True))
        return found

    def _leaf(self, name: str) -> Tensor:
        return self.parameters[name] if name in self.parameters else self.values[name]


def sweep(subject: Subject, *, double: bool = False, moved: Mapping[str, Tensor] = MappingProxyType({})) -> Sweep:
    """Run the subject forward once, with gradients.

    `double` computes in float64; `moved` is added to the parameters of these names.
    """
    kind = torch.float64 if double else torch.float32
    graph = retyped(subject.graph, {torch.float32}, kind) if double else subject.graph
    parameters = {}
    for name, parameter in graph.parameters.items():
        value = parameter.value.detach().to(kind)
        value = value + moved[name] if name in moved else value.clone()
        parameters[name] = value.requires_grad_(parameter.trainable)
    program = Program(graph, subject.device)
    trace = program.trace(
        {name: _fed(value, kind) for name, value in subject.batch.inputs.items()},
        parameters,
        training=subject.mode is Mode.TRAIN,
        generator=torch.Generator(subject.device).manual_seed(subject.seed),
    )
    count(forward=1)
    output = trace.values[subject.output]
    loss = subject.loss(output if double else output.float(), _target(subject, kind))
    return Sweep(subject, trace.values, trace.states, parameters, loss, program)


def sweep_double(subject: Subject, moved: Mapping[str, Tensor] = MappingProxyType({})) -> Sweep | None:
    """Return a float64 sweep; None where the network holds operators that will not run so."""
    try:
        return sweep(subject, double=True, moved=moved)
    except (RuntimeError, TypeError, Unfit):
        return None


def _target(subject: Subject, kind: torch.dtype) -> Tensor:
    target = subject.target
    return target.to(kind) if target.is_floating_point() else target


def _fed(value: Tensor, kind: torch.dtype) -> Tensor:
    """Return an input that a gradient can be asked for."""
    return value.detach().to(kind).clone().requires_grad_() if value.is_floating_point() else value
