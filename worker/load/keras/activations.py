"""Activations, by themselves or at the end of another layer."""

from service.keras.activations import activation
from service.keras.base import Call, Spec
from service.keras.layers import core
from worker.load.builder import Builder
from worker.load.formulas import put
from worker.load.keras import Signal, lowers


@lowers("Activation")
def activation_layer(layer: core.Activation, build: Builder, call: Call[Signal]) -> str:
    """Put down the activation; a linear one is an Identity."""
    value = activated(layer.activation, build, call.one.value)
    return build.node("Identity", value) if value == call.one.value else value


def activated(spec: Spec, build: Builder, value: str, role: str = "") -> str:
    """Put down the activation that a config names behind `value`; nothing where it is linear."""
    name, numbers = activation(spec, build.pointer)
    if name == "linear":
        return value
    if name == "sparsemax":
        return put(name, build, value, role, **numbers, summed=True)
    return put(name, build, value, role, **numbers)
