"""Functions of keras.ops that treat each number alone."""

from collections.abc import Callable
from math import e, log
from typing import Any, Final

import torch

from service.keras.activations import FUNCTIONS
from service.keras.base import Call, KerasLayer
from service.keras.layers.arithmetic import Cast, Clip, Like, Normalize, OneHot, Unary
from worker.load.builder import Builder
from worker.load.formulas import number, put
from worker.load.keras import Signal, lowers
from worker.load.keras.operands import TYPES, cast, operands, typed
from worker.network.ops.noise import OWN

_UNARY: Final = {
    "Abs": "Abs", "Absolute": "Abs", "Arccos": "Acos", "Arcsin": "Asin", "Arctan": "Atan", "Ceil": "Ceil", "Cos": "Cos",
    "Cosh": "Cosh", "Erf": "Erf", "Exp": "Exp", "Floor": "Floor", "Log": "Log", "Negative": "Neg",
    "Reciprocal": "Reciprocal", "Round": "Round", "Sign": "Sign", "Sin": "Sin", "Sinh": "Sinh", "Sqrt": "Sqrt",
    "Tan": "Tan", "Tanh": "Tanh",
}  # fmt: skip
_BINARY: Final = {
    "Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "TrueDivide": "Div", "Power": "Pow",
    "Maximum": "Max", "Minimum": "Min",
}  # fmt: skip
_COMPARED: Final = {
    "Equal": "Equal", "Greater": "Greater", "GreaterEqual": "GreaterOrEqual", "Less": "Less",
    "LessEqual": "LessOrEqual",
}  # fmt: skip
_JOINED: Final = {"LogicalAnd": "And", "LogicalOr": "Or", "LogicalXor": "Xor"}
_ACTIVATIONS: Final = {
    "".join(word.capitalize() for word in name.split("_")): name for name in FUNCTIONS if name != "exponential"
}
EPSILON: Final = 1e-7
"""Keras's own, where a file names none."""


def _unary(operator: str) -> Callable[[Unary, Builder, Call[Signal]], Signal]:
    def lowered(layer: Unary, build: Builder, call: Call[Signal]) -> Signal:
        return typed(call.one, build.node(operator, cast(build, call.one, "float32")))

    return lowered


def _binary(operator: str, result: str | None = None, among: str | None = None) -> Callable[..., Signal]:
    """Return the lowering of a function of two values, which gives `result`; they are cast to `among` first."""

    def lowered(layer: KerasLayer, build: Builder, call: Call[Signal]) -> Signal:
        values, dtype = operands(build, [call.get(name) for name in layer.parameters], among)
        (shape,) = layer.outputs(call, build.pointer)
        return Signal(shape, value=build.node(operator, *values), dtype=result or dtype)  # type: ignore[arg-type]

    return lowered


for _name, _operator in _UNARY.items():
    lowers(f"ops.{_name}")(_unary(_operator))
for _name, _operator in _BINARY.items():
    lowers(f"ops.{_name}")(_binary(_operator, among="float32" if "ivide" in _name or _name == "Power" else None))
for _name, _operator in _COMPARED.items():
    lowers(f"ops.{_name}")(_binary(_operator, "bool", "float32"))
for _name, _operator in _JOINED.items():
    lowers(f"ops.{_name}")(_binary(_operator, "bool", "bool"))


@lowers("ops.NotEqual")
def not_equal(layer: KerasLayer, build: Builder, call: Call[Signal]) -> Signal:
    """Equal, and Not."""
    values, _ = operands(build, [call.get(name) for name in layer.parameters], "float32")
    (shape,) = layer.outputs(call, build.pointer)
    return Signal(shape, value=build.node("Not", build.node("Equal", *values, role="equal")), dtype="bool")


@lowers("ops.Mod", "ops.FloorDivide")
def modulo(layer: KerasLayer, build: Builder, call: Call[Signal]) -> Signal:
    """x - y ⌊x / y⌋, as ONNX's own is for whole numbers alone."""
    values, _ = operands(build, [call.get(name) for name in layer.parameters], "float32")
    (shape,) = layer.outputs(call, build.pointer)
    ratio, whole = build.node("Div", *values, role="ratio"), layer.kind == "ops.FloorDivide"
    times = build.node("Floor", ratio, role="" if whole else "times")
    if whole:
        return Signal(shape, value=times)
    return Signal(shape, value=build.node("Sub", values[0], build.node("Mul", values[1], times, role="product")))


@lowers("ops.LogicalNot")
def logical_not(layer: Unary, build: Builder, call: Call[Signal]) -> Signal:
    """Not."""
    return typed(call.one, build.node("Not", cast(build, call.one, "bool")), "bool")


@lowers("ops.Isnan")
def is_nan(layer: Unary, build: Builder, call: Call[Signal]) -> Signal:
    """IsNaN."""
    return typed(call.one, build.node("IsNaN", cast(build, call.one, "float32")), "bool")


@lowers("ops.Square")
def square(layer: Unary, build: Builder, call: Call[Signal]) -> str:
    """Mul of the value by itself."""
    return build.node("Mul", call.one.value, call.one.value)


@lowers("ops.Rsqrt")
def rsqrt(layer: Unary, build: Builder, call: Call[Signal]) -> str:
    """Sqrt and Reciprocal."""
    return build.node("Reciprocal", build.node("Sqrt", cast(build, call.one, "float32"), role="root"))


@lowers("ops.Log1p")
def log1p(layer: Unary, build: Builder, call: Call[Signal]) -> str:
    """Log of what is one larger."""
    value = cast(build, call.one, "float32")
    return build.node("Log", build.node("Add", value, number(build, "one", 1), role="raised"))


@lowers("ops.Expm1")
def expm1(layer: Unary, build: Builder, call: Call[Signal]) -> str:
    """Exp, less one."""
    value = cast(build, call.one, "float32")
    return build.node("Sub", build.node("Exp", value, role="power"), number(build, "one", 1))


def _logarithm(base: float) -> Callable[[Unary, Builder, Call[Signal]], str]:
    def lowered(layer: Unary, build: Builder, call: Call[Signal]) -> str:
        natural = build.node("Log", cast(build, call.one, "float32"), role="natural")
        return build.node("Mul", natural, number(build, "factor", log(e) / log(base)))

    return lowered


lowers("ops.Log2")(_logarithm(2))
lowers("ops.Log10")(_logarithm(10))


@lowers("ops.StopGradient")
def stop_gradient(layer: Unary, build: Builder, call: Call[Signal]) -> Signal:
    """Identity that no gradient passes."""
    return typed(call.one, build.node("StopGradient", call.one.value, domain=OWN), call.one.dtype)


def _activation(name: str) -> Callable[[Unary, Builder, Call[Signal]], str]:
    def lowered(layer: Unary, build: Builder, call: Call[Signal]) -> str:
        own = type(layer).model_fields.keys() - KerasLayer.model_fields.keys()
        numbers: dict[str, Any] = {key: getattr(layer, key) for key in sorted(own)}
        if name == "sparsemax":
            numbers["summed"] = True
        return put(name, build, cast(build, call.one, "float32"), **numbers)

    return lowered


for _name, _function in {**_ACTIVATIONS, "Threshold": "threshold"}.items():
    if _name not in {"Linear", "Tanh"}:
        lowers(f"ops.{_name}")(_activation(_function))


@lowers("ops.Where")
def where(layer: KerasLayer, build: Builder, call: Call[Signal]) -> Signal:
    """Where."""
    (condition,), _ = operands(build, [call.get("condition")], "bool", "condition")
    values, dtype = operands(build, [call.get("x1"), call.get("x2")])
    (shape,) = layer.outputs(call, build.pointer)
    return Signal(shape, value=build.node("Where", condition, *values), dtype=dtype)


@lowers("ops.Clip")
def clip(layer: Clip, build: Builder, call: Call[Signal]) -> str:
    """Clip."""
    bounds = number(build, "low", layer.x_min), number(build, "high", layer.x_max)
    return build.node("Clip", cast(build, call.one, "float32"), *bounds)


@lowers("ops.Cast")
def other_type(layer: Cast, build: Builder, call: Call[Signal]) -> Signal:
    """Cast."""
    wanted = "bool" if layer.dtype == "bool" else "float32" if "float" in layer.dtype else "int64"
    return typed(call.one, build.node("Identity", cast(build, call.one, wanted)), wanted)


def _like(filler: int) -> Callable[[Like, Builder, Call[Signal]], Signal]:
    def lowered(layer: Like, build: Builder, call: Call[Signal]) -> Signal:
        named = layer.dtype or call.one.dtype
        wanted = "bool" if named == "bool" else "float32" if "float" in named else "int64"
        filled = torch.full((1,), filler).to(TYPES[wanted])
        sizes = build.node("Shape", call.one.value, role="sizes")
        return typed(call.one, build.node("ConstantOfShape", sizes, value=filled), wanted)

    return lowered


lowers("ops.ZerosLike")(_like(0))
lowers("ops.OnesLike")(_like(1))


@lowers("ops.OneHot")
def one_hot(layer: OneHot, build: Builder, call: Call[Signal]) -> str:
    """OneHot."""
    depth = build.constant("depth", torch.tensor([layer.num_classes]))
    values = build.constant("values", torch.tensor([0.0, 1.0]))
    return build.node("OneHot", cast(build, call.one, "int64"), depth, values, axis=layer.axis)


@lowers("ops.Normalize")
def normalize(layer: Normalize, build: Builder, call: Call[Signal]) -> str:
    """Divide by the length, or by epsilon where that is more."""
    axes = build.constant("axes", torch.tensor([layer.axis] if isinstance(layer.axis, int) else layer.axis))
    least = EPSILON if layer.epsilon is None else layer.epsilon
    if layer.order == 1:
        length = build.node("ReduceL1", call.one.value, axes, role="length", keepdims=1)
        return build.node(
            "Div", call.one.value, build.node("Max", length, number(build, "least", least), role="bounded")
        )
    total = build.node("ReduceSumSquare", call.one.value, axes, role="square", keepdims=1)
    bounded = build.node("Max", total, number(build, "least", least), role="bounded")
    return build.node("Div", call.one.value, build.node("Sqrt", bounded, role="length"))
