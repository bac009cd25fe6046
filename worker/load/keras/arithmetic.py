"""Functions of keras.ops: arithmetic, elementwise functions, reductions, products."""

import torch

from service.keras.base import Call
from service.keras.layers.arithmetic import (
    ACTIVATIONS,
    BINARY,
    ELEMENTWISE,
    REDUCTIONS,
    Binary,
    Clip,
    Elementwise,
    Function,
    Matmul,
    Normalize,
    Reduction,
    inside,
)
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.activations import activated

_EPSILON = 1e-7
"""Keras's, where none is given."""


@lowers(*(f"ops.{name}" for name in ELEMENTWISE))
def elementwise(layer: Elementwise, build: Builder, call: Call[Signal]) -> str:
    """Put down the operator of the same name."""
    return build.node(ELEMENTWISE[layer.kind.removeprefix("ops.")], call.one.value)


@lowers("ops.Cast")
def cast(layer: Elementwise, build: Builder, call: Call[Signal]) -> str:
    """Cast to float32, in which everything is examined."""
    return build.node("Cast", call.one.value, to=1)


@lowers("ops.Square")
def square(layer: Elementwise, build: Builder, call: Call[Signal]) -> str:
    """x times x."""
    return build.node("Mul", call.one.value, call.one.value)


@lowers("ops.Rsqrt")
def rsqrt(layer: Elementwise, build: Builder, call: Call[Signal]) -> str:
    """One over the root."""
    return build.node("Reciprocal", build.node("Sqrt", call.one.value, role="root"))


@lowers("ops.Log1p")
def log1p(layer: Elementwise, build: Builder, call: Call[Signal]) -> str:
    """The logarithm of 1 + x."""
    return build.node("Log", build.node("Add", call.one.value, _number(build, "one", 1.0), role="moved"))


@lowers("ops.Expm1")
def expm1(layer: Elementwise, build: Builder, call: Call[Signal]) -> str:
    """The exponential of x, less 1."""
    return build.node("Sub", build.node("Exp", call.one.value, role="power"), _number(build, "one", 1.0))


@lowers(*(f"ops.{name}" for name in ACTIVATIONS))
def function(layer: Function, build: Builder, call: Call[Signal]) -> str:
    """Put down the activation."""
    return activated(layer.spec, build, call.one.value)


@lowers("ops.Clip")
def clip(layer: Clip, build: Builder, call: Call[Signal]) -> str:
    """Clip."""
    return build.node("Clip", call.one.value, _number(build, "low", layer.x_min), _number(build, "high", layer.x_max))


@lowers("ops.Normalize")
def normalize(layer: Normalize, build: Builder, call: Call[Signal]) -> str:
    """x over its norm, which is epsilon at least."""
    axis = build.constant("axes", torch.tensor([inside(layer.axis, call.one.shape, build.pointer)]))
    norm = build.node("ReduceL2", call.one.value, axis, role="norm", keepdims=1)
    least = build.node("Max", norm, _number(build, "least", layer.epsilon or _EPSILON), role="least")
    return build.node("Div", call.one.value, least)


@lowers(*(f"ops.{name}" for name in BINARY))
def binary(layer: Binary, build: Builder, call: Call[Signal]) -> str:
    """Put down the operator of the same name; numbers of the file become constants."""
    values = []
    for name in layer.parameters:
        given = call.get(name)
        values.append(given.value if isinstance(given, Signal) else _number(build, name, given))
    return build.node(BINARY[layer.kind.removeprefix("ops.")], *values)


@lowers(*(f"ops.{name}" for name in REDUCTIONS))
def reduction(layer: Reduction, build: Builder, call: Call[Signal]) -> str:
    """Put down the reduction; a variance is the mean of the squares of what is left of the mean."""
    kind, value = layer.kind.removeprefix("ops."), call.one.value
    over = build.constant("axes", torch.tensor(layer.axes(call.one.shape, build.pointer)))
    keep = int(layer.keepdims)
    if kind not in {"Var", "Std"}:
        return build.node(REDUCTIONS[kind], value, over, keepdims=keep)
    rest = build.node("Sub", value, build.node("ReduceMean", value, over, role="mean", keepdims=1), role="rest")
    squares = build.node("Mul", rest, rest, role="squares")
    if kind == "Var":
        return build.node("ReduceMean", squares, over, keepdims=keep)
    return build.node("Sqrt", build.node("ReduceMean", squares, over, role="variance", keepdims=keep))


@lowers("ops.Matmul")
def matmul(layer: Matmul, build: Builder, call: Call[Signal]) -> str:
    """MatMul."""
    return build.node("MatMul", *(each.value for each in call.leaves))


def _number(build: Builder, role: str, value: object) -> str:
    return build.constant(role, torch.tensor(value, dtype=torch.float32))
