"""The optimizers that training can use: torch.optim's own, by the contract's names, with clipping and warm-up."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from service.contract.options import Clipping
from service.contract.words import OptimizerName
from worker.clipping import Clipper, clipper

_MOMENTUM: Final = 0.9
_TOGETHER: Final = 2**22
"""Numbers of which steps are taken at once."""

_BUILDERS: Final[dict[OptimizerName, Callable[..., torch.optim.Optimizer]]] = {
    OptimizerName.SGD: torch.optim.SGD,
    OptimizerName.MOMENTUM: torch.optim.SGD,
    OptimizerName.NESTEROV: torch.optim.SGD,
    OptimizerName.ADAM: torch.optim.Adam,
    OptimizerName.NADAM: torch.optim.NAdam,
    OptimizerName.ADAMW: torch.optim.AdamW,
    OptimizerName.RMSPROP: torch.optim.RMSprop,
    OptimizerName.ADAGRAD: torch.optim.Adagrad,
}

_CLASSES: Final = {
    OptimizerName.SGD: ("SGD", "SGD"),
    OptimizerName.MOMENTUM: ("SGD", "SGD"),
    OptimizerName.NESTEROV: ("SGD", "SGD"),
    OptimizerName.ADAM: ("Adam", "Adam"),
    OptimizerName.NADAM: ("NAdam", "Nadam"),
    OptimizerName.ADAMW: ("AdamW", "AdamW"),
    OptimizerName.RMSPROP: ("RMSprop", "RMSprop"),
    OptimizerName.ADAGRAD: ("Adagrad", "Adagrad"),
}
"""What torch and Keras call them."""
DIVIDING: Final = frozenset(
    {OptimizerName.ADAM, OptimizerName.ADAMW, OptimizerName.NADAM, OptimizerName.RMSPROP, OptimizerName.ADAGRAD}
)
"""Optimizers that divide a step by the size of the gradient."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer with its settings."""

    name: OptimizerName
    learning_rate: float
    momentum: float | None = None
    weight_decay: float = 0.0
    clipping: Clipping | None = None
    warmup: int = 0
    """Steps over which the rate rises linearly to its value."""

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0; the last step of the warm-up has all of it."""
        return self.learning_rate * min(1.0, (step + 1) / max(self.warmup, 1))

    def pace(self, stepper: torch.optim.Optimizer, step: int) -> None:
        """Give torch's optimizer the learning rate of a step."""
        for group in stepper.param_groups:
            group["lr"] = self.rate(step)

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """Return torch's optimizer over these leaf tensors, at the rate of the first step."""
        return _BUILDERS[self.name](parameters, lr=self.rate(0), **self._options)

    @property
    def _options(self) -> dict[str, Any]:
        """What torch's optimizer is given besides the rate."""
        options: dict[str, Any] = {}
        if self.weight_decay:
            options["weight_decay"] = self.weight_decay
        elif self.name is OptimizerName.ADAMW:
            options["weight_decay"] = 0.0  # torch would take 0.01
        return options | self._inertia

    @property
    def _inertia(self) -> dict[str, Any]:
        if self.name in {OptimizerName.MOMENTUM, OptimizerName.NESTEROV}:
            momentum = _MOMENTUM if self.momentum is None else self.momentum
            nesterov = self.name is OptimizerName.NESTEROV and momentum != 0  # torch refuses it; it is plain SGD then
            return {"momentum": momentum} | ({"nesterov": True} if nesterov else {})
        if self.momentum is not None and self.name in {OptimizerName.SGD, OptimizerName.RMSPROP}:
            return {"momentum": self.momentum}
        return {}

    def written(self) -> dict[str, str]:
        """Return the code that builds it in torch and in Keras, where a decay apart from the gradient is AdamW's."""
        decay = {"weight_decay": self.weight_decay} if self.name is OptimizerName.ADAMW else {}
        there = _listed({"lr": self.learning_rate, **self._options})
        here = _listed({"learning_rate": self.learning_rate, **self._inertia, **decay})
        in_torch, in_keras = _CLASSES[self.name]
        return {
            "torch": f"torch.optim.{in_torch}(model.parameters(), {there})",
            "keras": f"keras.optimizers.{in_keras}({here})",
        }

    def clipper(self) -> Clipper:
        """Return what clips the gradients of one run, step by step."""
        return clipper(self.clipping)

    def clip(self, parameters: Sequence[Tensor]) -> None:
        """Clip the gradients in place, as at the first step of a run."""
        self.clipper()(parameters)

    def first_update_ratios(self, values: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> dict[str, float]:
        """Return, per parameter, the norm of the first step by the norm of the weight, from a real step on a copy.

        Some at a time: an optimizer's state weighs as much as the weights again.
        """
        norms = {
            name: (step.norm(), values[name].detach().norm()) for name, step in self.first_steps(values, gradients)
        }
        read = torch.stack([each for pair in norms.values() for each in pair]).tolist() if norms else []
        pairs = zip(norms, read[::2], read[1::2], strict=True)
        return {name: step / weight for name, step, weight in pairs if weight > 0 and math.isfinite(step)}

    def first_steps(
        self, values: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield each parameter's name and first step (new value less old)."""
        shrink = self._shrink(gradients)
        for together in _portions([name for name in gradients if name in values], values):
            copies = [values[name].detach().float().clone().requires_grad_() for name in together]
            for name, copy in zip(together, copies, strict=True):
                copy.grad = gradients[name].detach().float() * shrink
            if self.clipping is not None and self.clipping.kind != "norm":
                self.clip(copies)
            self.build(copies).step()
            for name, copy in zip(together, copies, strict=True):
                yield name, copy.detach() - values[name]

    def _shrink(self, gradients: Mapping[str, Tensor]) -> float:
        """Return what clipping by the whole gradient's norm multiplies it by."""
        if self.clipping is None or self.clipping.kind != "norm" or not gradients:
            return 1.0
        norm = float(torch.stack([gradient.detach().norm() for gradient in gradients.values()]).norm())
        return min(1.0, self.clipping.limit / norm) if norm > 0 else 1.0


def _listed(options: Mapping[str, float | bool]) -> str:
    return ", ".join(f"{name}={_number(value)}" for name, value in options.items())


def _number(value: float | bool) -> str:  # noqa: FBT001  torch's own flag
    """Return a flag, or a number that is no integer: Keras refuses a rate of 1."""
    said = f"{value:g}"
    return str(value) if isinstance(value, bool) else said if {".", "e"} & set(said) else f"{said}.0"


def _portions(chosen: Sequence[str], values: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Yield the names in turn, as many together as hold a few million numbers."""
    portion: list[str] = []
    held = 0
    for name in chosen:
        if portion and held + values[name].numel() > _TOGETHER:
            yield portion
            portion, held = [], 0
        portion.append(name)
        held += values[name].numel()
    if portion:
        yield portion
