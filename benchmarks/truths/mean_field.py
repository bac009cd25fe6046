"""The mean-field theory of wide random networks, by quadrature; it shares no code with what it is to check.

A layer of weights with variance σ_w² over the fan and biases with variance σ_b² takes pre-activations of second
moment q to V(q) = σ_w² E[φ(√q z)²] + σ_b², and multiplies a squared gradient by χ₁ = σ_w² E[φ'(√q z)²].

Sources: Poole et al. 2016, Schoenholz et al. 2017 (V, χ₁, the fixed point q*), Hanin and Nica 2018 (κ), Yang et al.
2019 (batch norm).
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.integrate import quad
from scipy.special import expit, ndtr

Real = Callable[[float], float]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _density(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


FUNCTIONS: Final[dict[str, tuple[Real, Real]]] = {
    "linear": (lambda x: x, lambda _: 1.0),
    "relu": (lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "leaky_relu": (lambda x: x if x > 0 else 0.2 * x, lambda x: 1.0 if x > 0 else 0.2),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    "sigmoid": (expit, lambda x: expit(x) * (1 - expit(x))),
    "selu": (
        lambda x: _SELU_SCALE * (x if x > 0 else _SELU_ALPHA * math.expm1(x)),
        lambda x: _SELU_SCALE * (1.0 if x > 0 else _SELU_ALPHA * math.exp(x)),
    ),
    "elu": (lambda x: x if x > 0 else math.expm1(x), lambda x: 1.0 if x > 0 else math.exp(x)),
    "gelu": (lambda x: x * ndtr(x), lambda x: ndtr(x) + x * _density(x)),
    "silu": (lambda x: x * expit(x), lambda x: expit(x) * (1 + x * (1 - expit(x)))),
    "softplus": (lambda x: np.logaddexp(0.0, x), expit),
}
"""Each activation with its derivative, by the name it has in a description; `leaky_relu` has the slope 0.2."""


def expected(function: Real, q: float) -> float:
    """Return E[f(√q z)] for a standard normal z; split at zero, where rectifiers have their kink."""
    root = math.sqrt(q)
    halves = (quad(lambda z: _density(z) * function(root * z), *ends, limit=200)[0] for ends in ((-12, 0), (0, 12)))
    return float(sum(halves))


def length(name: str, weights: float, biases: float, q: float) -> float:
    """Return V(q), the second moment of pre-activations one layer later."""
    phi, _ = FUNCTIONS[name]
    return weights * expected(lambda x: phi(x) ** 2, q) + biases


def chi(name: str, weights: float, q: float) -> float:
    """Return χ₁, the factor of the squared gradient in one layer."""
    _, slope = FUNCTIONS[name]
    return weights * expected(lambda x: slope(x) ** 2, q)


def fixed_point(name: str, weights: float, biases: float) -> float:
    """Return q*, where V(q*) = q*, by iterating from 1; ValueError where it grows without end."""
    q = 1.0
    for _ in range(4000):
        after = length(name, weights, biases, q)
        if abs(after - q) < 1e-12 * q:
            return after
        q = after
    msg = f"{name} with σ_w² = {weights:g} and σ_b² = {biases:g} has no fixed point within reach; q = {q:g}"
    raise ValueError(msg)


def kurtosis(name: str, q: float) -> float:
    """Return κ = 3 E[φ'⁴] / E[φ'²]² − 1: a layer of width n scatters ln of the squared gradient by √(κ/n)."""
    _, slope = FUNCTIONS[name]
    return 3 * expected(lambda x: slope(x) ** 4, q) / expected(lambda x: slope(x) ** 2, q) ** 2 - 1


def variance(name: str) -> float:
    """Return Var[φ(z)] for a standard normal z."""
    phi, _ = FUNCTIONS[name]
    return expected(lambda x: phi(x) ** 2, 1.0) - expected(phi, 1.0) ** 2


def batch_normed(name: str) -> float:
    """Return χ of batch norm in front of the activation for infinitely many samples: E[φ'²] / Var[φ]."""
    return chi(name, 1.0, 1.0) / variance(name)


def layer_normed(name: str) -> float:
    """Return χ of layer norm in front of the activation: E[φ'²] / E[φ²]."""
    return chi(name, 1.0, 1.0) / length(name, 1.0, 0.0, 1.0)
