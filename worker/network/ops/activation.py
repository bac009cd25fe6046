"""Activation functions."""

from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.ops import op, together

SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


@op("Relu")
def relu(x: Tensor) -> Tensor:
    """x where it is positive, 0 elsewhere."""
    return torch.relu(x)


@op("Sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ)."""
    return torch.sigmoid(x)


@op("Tanh")
def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return torch.tanh(x)


@op("Softplus")
def softplus(x: Tensor) -> Tensor:
    """ln(1 + eˣ)."""
    return torch.logaddexp(x, x.new_zeros(()))


@op("Softsign")
def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return functional.softsign(x)


@op("Mish")
def mish(x: Tensor) -> Tensor:
    """x tanh(softplus(x))."""
    return functional.mish(x)


@op("HardSwish")
def hard_swish(x: Tensor) -> Tensor:
    """x times max(0, min(1, x/6 + 1/2))."""
    return functional.hardswish(x)


@op("Swish")
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x sigmoid(alpha x)."""
    return x * torch.sigmoid(alpha * x)


@op("Elu")
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x where it is positive, alpha (eˣ - 1) elsewhere."""
    return functional.elu(x, alpha)


@op("Celu")
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x where it is positive, alpha (e^(x/alpha) - 1) elsewhere."""
    return functional.celu(x, alpha)


@op("Selu", since=6)
def selu(x: Tensor, *, alpha: float = SELU_ALPHA, gamma: float = SELU_GAMMA) -> Tensor:
    """gamma times x where it is positive, gamma alpha (eˣ - 1) elsewhere."""
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


@op("LeakyRelu")
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """x where it is positive, alpha x elsewhere."""
    return functional.leaky_relu(x, alpha)


@op("PRelu", since=7)
def p_relu(x: Tensor, slope: Tensor) -> Tensor:
    """x where it is positive, slope x elsewhere."""
    values, slopes = together(x, slope)
    return torch.where(values >= 0, values, slopes * values)


@op("ThresholdedRelu")
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x where it is above alpha, 0 elsewhere."""
    return torch.where(x > alpha, x, torch.zeros_like(x))


@op("HardSigmoid")
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """alpha x + beta, between 0 and 1."""
    return (alpha * x + beta).clamp(0, 1)


@op("Shrink")
def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """x + bias below -lambd, x - bias above lambd, 0 between."""
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros_like(x)))


@op("Gelu")
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """x Φ(x), with the normal distribution's Φ or its tanh approximation."""
    return functional.gelu(x, approximate=approximate)


@op("Softmax", since=13)
def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """eˣ over its sum along an axis; a row that is -inf throughout gives NaN but passes no gradient on."""
    y = torch.softmax(x, axis)
    if not x.requires_grad or bool(y.detach().sum().isfinite()):
        return y
    dead = (x == -torch.inf).all(axis, keepdim=True)
    return torch.softmax(x.masked_fill(dead, 0), axis).masked_fill(dead, torch.nan)


@op("Softmax")
def softmax_flat(x: Tensor, *, axis: int = 1) -> Tensor:
    """Softmax over all axes from `axis` on."""
    return softmax(_flat(x, axis), axis=1).reshape(x.shape)


@op("LogSoftmax", since=13)
def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """The logarithm of softmax."""
    return torch.log_softmax(x, axis)


@op("LogSoftmax")
def log_softmax_flat(x: Tensor, *, axis: int = 1) -> Tensor:
    """LogSoftmax over all axes from `axis` on."""
    return torch.log_softmax(_flat(x, axis), 1).reshape(x.shape)


@op("Hardmax", since=13, gradient=False)
def hardmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """1 at the first largest element along an axis, 0 elsewhere."""
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1)


@op("Hardmax", gradient=False)
def hardmax_flat(x: Tensor, *, axis: int = 1) -> Tensor:
    """Hardmax over all axes from `axis` on."""
    return hardmax(_flat(x, axis), axis=1).reshape(x.shape)


def _flat(x: Tensor, axis: int) -> Tensor:
    front = axis % x.dim() if x.dim() else 0
    return x.reshape(prod(x.shape[:front]), -1)
