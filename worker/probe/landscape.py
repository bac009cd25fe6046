"""The loss as a function of the trainable weights: gradients and curvature, on all samples or on some.

Dropout and other random operators draw the same numbers at every evaluation, so that it is one function.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from worker.network.run import Program
from worker.passes import count
from worker.subject import Subject

STEP: Final = float(torch.finfo(torch.float32).eps) ** (1 / 3)
"""A difference's step by the norm of the weights: where float32's rounding and the curve's own error are of one size.
"""


class Landscape:
    """A subject's loss, regularizers included, over its trainable weights laid out in one vector."""

    def __init__(self, subject: Subject) -> None:
        """Compile the subject's graph once."""
        self.subject = subject
        self._program = Program(subject.graph, subject.device)
        self._fixed = {name: p.value.detach().float() for name, p in subject.graph.parameters.items()}
        self.names = tuple(name for name, p in subject.graph.parameters.items() if p.trainable)
        self.sizes = tuple(self._fixed[name].numel() for name in self.names)

    @cached_property
    def weights(self) -> Tensor:
        """The trainable weights as they stand."""
        return _flat([self._fixed[name] for name in self.names])

    def gradient(self, rows: Tensor | None = None, *, at: Tensor | None = None) -> Tensor:
        """Return the gradient, on all samples or on some, here or at other weights.  Who takes some counts them."""
        leaves = self._leaves(self.weights if at is None else at)
        return _flat(self._gradients(leaves, rows, twice=False))

    def curved(self) -> tuple[Tensor, "Curvature"]:
        """Return the gradient, and the Hessian as a function of a vector."""
        leaves = self._leaves(self.weights)
        gradients = self._gradients(leaves, None, twice=True)
        return _flat([gradient.detach() for gradient in gradients]), Curvature(self, leaves, gradients)

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return a vector's parts, one per weight and in its shape."""
        parts = torch.split(vector, list(self.sizes))
        return [part.view_as(self._fixed[name]) for name, part in zip(self.names, parts, strict=True)]

    def _leaves(self, weights: Tensor) -> list[Tensor]:
        return [part.detach().clone().requires_grad_() for part in self.split(weights)]

    def _gradients(self, leaves: Sequence[Tensor], rows: Tensor | None, *, twice: bool) -> tuple[Tensor, ...]:
        loss = self._loss(leaves, rows)
        if rows is None:
            count(forward=1, backward=1)
        if not loss.requires_grad:
            return tuple(map(torch.zeros_like, leaves))
        return torch.autograd.grad(loss, leaves, create_graph=twice, allow_unused=True, materialize_grads=True)

    def _loss(self, leaves: Sequence[Tensor], rows: Tensor | None) -> Tensor:
        subject = self.subject if rows is None else self.subject.part(rows)
        given = {**self._fixed, **dict(zip(self.names, leaves, strict=True))}
        generator = torch.Generator(subject.device).manual_seed(subject.seed)
        return subject.penalized(subject.cost(self._program, given, generator), given)


class Curvature:
    """The Hessian at a point, as a function of a vector: by double backward, or else by central differences."""

    def __init__(self, landscape: Landscape, leaves: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Keep the graph of the gradients."""
        self._landscape = landscape
        self._leaves = leaves
        self._gradients = [gradient for gradient in gradients if gradient.requires_grad]
        self._kept = [gradient.requires_grad for gradient in gradients]
        self.differences = False
        """Whether some operator had no second derivative."""
        self.products = 0

    def __call__(self, vector: Tensor) -> Tensor:
        """Return the Hessian's product with a vector."""
        self.products += 1
        if not self.differences:
            try:
                return self._twice(vector)
            except (RuntimeError, NotImplementedError) as error:
                if "memory" in str(error):
                    raise
                self.differences = True
                self._gradients = []
        return self._difference(vector)

    def _twice(self, vector: Tensor) -> Tensor:
        parts = [part for part, kept in zip(self._landscape.split(vector), self._kept, strict=True) if kept]
        if not parts:
            return torch.zeros_like(vector)
        count(backward=2)
        found = torch.autograd.grad(
            self._gradients, self._leaves, parts, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return _flat(found)

    def _difference(self, vector: Tensor) -> Tensor:
        """Return (∇L(w + εv) − ∇L(w − εv)) / 2ε with ε‖v‖ = STEP · ‖w‖."""
        weights, norm = self._landscape.weights, vector.norm()
        step: Tensor = STEP * weights.norm().where(weights.any(), 1) / norm.where(norm > 0, 1)
        ahead = self._landscape.gradient(at=weights + step * vector)
        behind = self._landscape.gradient(at=weights - step * vector)
        return (ahead - behind) / (2 * step)


def _flat(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts]) if parts else torch.zeros(0)
