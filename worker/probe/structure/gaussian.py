"""Means over a standard normal pre-activation, for activations and their slopes.

Gauss-Legendre on both sides of 0, where most activations bend: Gauss-Hermite still errs in the third digit there.
"""

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from worker.network.graph import Node

Shape: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Gives φ and φ' at each number."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)
_FARTHEST: Final = 10.0
_AXIS: Final = torch.from_numpy(np.concatenate([(_NODES - 1) / 2, (_NODES + 1) / 2]) * _FARTHEST)
_DENSITY: Final = (
    torch.from_numpy(np.concatenate([_WEIGHTS, _WEIGHTS]) * _FARTHEST / 2)
    * torch.exp(-(_AXIS**2) / 2)
    / math.sqrt(2 * math.pi)
)
_PLAIN: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "Relu": functional.relu,
    "Selu": functional.selu,
    "Swish": functional.silu,
    "Mish": functional.mish,
    "HardSwish": functional.hardswish,
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
    "Softplus": functional.softplus,
    "Softsign": functional.softsign,
    "Gelu": functional.gelu,
}
_DEFAULTS: Final = {"LeakyRelu": 0.01, "Elu": 1.0, "Celu": 1.0}
_SLOPED: Final = {"LeakyRelu": functional.leaky_relu, "Elu": functional.elu, "Celu": functional.celu}


def expectation(of: Callable[[Tensor], Tensor]) -> float:
    """Return E[of(z)] for a standard normal z."""
    return float((of(_AXIS) * _DENSITY).sum())


def shape_of(activation: Node | None) -> Shape | None:
    """Return φ and φ' of an activation, the identity's where there is none; None of one that is not known here."""
    function = _function(activation)
    if function is None:
        return None

    def shape(z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            at = z.detach().clone().requires_grad_()
            value = function(at)
            (slope,) = torch.autograd.grad(value.sum(), at)
        return value.detach(), slope

    return shape


def _function(activation: Node | None) -> Callable[[Tensor], Tensor] | None:
    if activation is None:
        return lambda z: z * 1
    if activation.op in _SLOPED:
        slope = activation.attributes.get("alpha", _DEFAULTS[activation.op])
        sloped = _SLOPED[activation.op]
        return (lambda z: sloped(z, float(slope))) if isinstance(slope, int | float) else None
    return _PLAIN.get(activation.op)
