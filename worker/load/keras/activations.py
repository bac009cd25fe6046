"""Activations, by themselves or at the end of another layer."""

from collections.abc import Callable
from typing import Final

from service.keras.activations import Activation, activation
from service.keras.base import Call, Spec
from service.keras.layers import core
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers

_OPERATORS: Final = {
    "relu": "Relu",
    "selu": "Selu",
    "mish": "Mish",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "hard_silu": "HardSwish",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "exponential": "Exp",
}


@lowers("Activation")
def activation_layer(layer: core.Activation, build: Builder, call: Call[Signal]) -> str:
    """Put down the activation; a linear one is an Identity."""
    value = activated(layer.activation, build, call.one.value)
    return build.node("Identity", value) if value == call.one.value else value


def activated(spec: Spec, build: Builder, value: str, role: str = "") -> str:
    """Put down the activation that a config names behind `value`; nothing where it is linear."""
    found = activation(spec, build.pointer)
    if found.name == "linear":
        return value
    if found.name in _OPERATORS:
        return build.node(_OPERATORS[found.name], value, role=role)
    return _MADE[found.name](found, build, value, role)


def _softmax(found: Activation, build: Builder, value: str, role: str) -> str:
    return build.node("Softmax", value, role=role, axis=int(found.numbers.get("axis", -1)))


_MADE: Final[dict[str, Callable[[Activation, Builder, str, str], str]]] = {"softmax": _softmax}
"""The activations that take numbers, or several operators."""
