"""The subject of an examination: a network, a batch, a loss, and how it will be trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from service.contract.options import Clipping
from service.contract.words import Mode, OptimizerName, Precision
from worker.loss import Loss
from worker.network.graph import Graph
from worker.network.run import Program


@dataclass(frozen=True)
class Batch:
    """Sample inputs by name and, where there is one, the target; the first axis of each is the batch's."""

    inputs: Mapping[str, Tensor]
    target: Tensor | None = None
    synthetic: bool = False
    sha256: str | None = None
    notes: tuple[str, ...] = ()
    drawn_target: bool = False
    """Whether the target came from nobody, and was drawn to be fitted."""

    @property
    def size(self) -> int:
        """The number of samples."""
        return next((len(value) for value in self.inputs.values() if value.dim()), 1)

    @property
    def device(self) -> torch.device:
        """Where the inputs lie."""
        return next((value.device for value in self.inputs.values()), torch.device("cpu"))

    def to(self, device: torch.device) -> Self:
        """Return the batch on `device`."""
        target = None if self.target is None else self.target.to(device)
        return replace(self, inputs={name: value.to(device) for name, value in self.inputs.items()}, target=target)


@dataclass(frozen=True)
class Settings:
    """How the subject will be trained; None where the caller did not say."""

    optimizer: OptimizerName | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    weight_decay: float = 0.0
    clipping: Clipping | None = None
    warmup: int = 0
    """Steps over which the learning rate rises linearly to its value."""
    loss_scale: float = 1.0
    """What the loss is multiplied by before the way back, and gradients are divided by after it."""
    precision: Precision = Precision.FLOAT32


@dataclass(frozen=True)
class Subject:
    """What is examined.  Treatments make changed copies of it; nobody changes one in place."""

    graph: Graph
    batch: Batch
    loss: Loss
    settings: Settings = Settings()
    output: str = ""
    """The value that the loss reads; the graph's only output here."""
    declared_loss: bool = False
    """Whether the caller named the loss."""
    pass_s: float = 0.0
    """Planned seconds of a forward pass on the whole batch."""
    mode: Mode = Mode.TRAIN
    seed: int = 0
    widened: Callable[[int], Graph | None] | None = None
    """Draws the model at this many times its hidden widths; None where it came with its weights."""

    @property
    def target(self) -> Tensor:
        """What the loss compares the output with; the loader always gives one."""
        if self.batch.target is None:
            msg = "a subject needs a target"
            raise ValueError(msg)
        return self.batch.target

    @property
    def device(self) -> torch.device:
        """Where the batch, and so the examination, lies."""
        return self.target.device

    @property
    def drawn(self) -> bool:
        """Whether any of the weights follows a law, so that another draw has others."""
        return any(parameter.law is not None for parameter in self.graph.parameters.values())

    @property
    def divisible(self) -> bool:
        """Whether part of the batch can be taken: every first axis counts samples, and none of the inputs' is fixed."""
        tensors = (*self.batch.inputs.values(), self.target)
        free = all(given.shape and isinstance(given.shape[0], str) for given in self.graph.inputs)
        return free and all(value.dim() and len(value) == self.batch.size for value in tensors)

    def part(self, rows: Tensor) -> Self:
        """Return the subject with these samples alone, of a divisible batch."""
        inputs = {name: value[rows] for name, value in self.batch.inputs.items()}
        return self.replace(batch=replace(self.batch, inputs=inputs, target=self.target[rows]))

    def cost(self, program: Program, weights: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """Return the loss on the batch at these weights, as the subject's program computes it in float32."""
        return self.loss(self.answer(program, weights, generator), self.target)

    def answer(
        self, program: Program, weights: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> Tensor:
        """Return what the loss reads, computed in float32; the generator draws what the network draws."""
        inputs = {name: _single(value) for name, value in self.batch.inputs.items()}
        outputs = program.run(inputs, weights, training=self.mode is Mode.TRAIN, generator=generator)
        return outputs[self.output].float()

    def penalized(self, cost: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Return a loss with what the weights' regularizers add to it."""
        for name, parameter in self.graph.parameters.items():
            if parameter.penalty is not None and parameter.trainable:
                cost = cost + parameter.penalty(weights[name])
        return cost

    def replace(self, **changes: object) -> Self:
        """Return a subject with these fields exchanged."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def redrawn(self, seed: int) -> Self:
        """Return the subject with its random weights drawn again under `seed`."""
        return self.replace(graph=self.graph.redrawn(seed), seed=seed)


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
