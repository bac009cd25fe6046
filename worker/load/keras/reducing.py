"""Functions of keras.ops that make one number of many along axes."""

from collections.abc import Callable
from typing import Final

import torch

from service.keras.base import Call
from service.keras.layers.reducing import Cumulative, Norm, Place, Reduction
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.operands import NUMBERS, cast

_OPERATORS: Final = {
    "Mean": "ReduceMean", "Average": "ReduceMean", "Sum": "ReduceSum", "Max": "ReduceMax", "Amax": "ReduceMax",
    "Min": "ReduceMin", "Amin": "ReduceMin", "Prod": "ReduceProd", "Logsumexp": "ReduceLogSumExp",
}  # fmt: skip


def _reduced(operator: str) -> Callable[[Reduction, Builder, Call[Signal]], str]:
    def lowered(layer: Reduction, build: Builder, call: Call[Signal]) -> str:
        return build.node(
            operator, cast(build, call.one, "float32"), axes(layer, build, call), keepdims=int(layer.keepdims)
        )

    return lowered


for _name, _operator in _OPERATORS.items():
    lowers(f"ops.{_name}")(_reduced(_operator))


def axes(layer: Reduction, build: Builder, call: Call[Signal]) -> str:
    """Put down the axes."""
    return build.constant("axes", torch.tensor(layer.over(call.one.shape)))


def _truth(operator: str) -> Callable[[Reduction, Builder, Call[Signal]], Signal]:
    """Return the lowering of a question about truth values, which ONNX reduces as numbers alone."""

    def lowered(layer: Reduction, build: Builder, call: Call[Signal]) -> Signal:
        truth = cast(build, call.one, "bool", "truth")
        numbers = build.node("Cast", truth, role="numbers", to=NUMBERS["float32"])
        found = build.node(operator, numbers, axes(layer, build, call), role="found", keepdims=int(layer.keepdims))
        (shape,) = layer.outputs(call, build.pointer)
        return Signal(shape, value=build.node("Cast", found, to=NUMBERS["bool"]), dtype="bool")

    return lowered


lowers("ops.Any")(_truth("ReduceMax"))
lowers("ops.All")(_truth("ReduceMin"))


@lowers("ops.Var")
def variance(layer: Reduction, build: Builder, call: Call[Signal]) -> str:
    """The mean of the squares around the mean."""
    return _variance(layer, build, call, "")


@lowers("ops.Std")
def deviation(layer: Reduction, build: Builder, call: Call[Signal]) -> str:
    """The root of the mean of the squares around the mean."""
    return build.node("Sqrt", _variance(layer, build, call, "variance"))


def _variance(layer: Reduction, build: Builder, call: Call[Signal], role: str) -> str:
    over, value = axes(layer, build, call), cast(build, call.one, "float32")
    centred = build.node("Sub", value, build.node("ReduceMean", value, over, role="mean", keepdims=1), role="centred")
    square = build.node("Mul", centred, centred, role="square")
    return build.node("ReduceMean", square, over, role=role, keepdims=int(layer.keepdims))


@lowers("ops.Norm")
def norm(layer: Norm, build: Builder, call: Call[Signal]) -> str:
    """ReduceL1 or ReduceL2."""
    operator = "ReduceL1" if layer.ord == 1 else "ReduceL2"
    return build.node(
        operator, cast(build, call.one, "float32"), axes(layer, build, call), keepdims=int(layer.keepdims)
    )


def _place(operator: str) -> Callable[[Place, Builder, Call[Signal]], Signal]:
    def lowered(layer: Place, build: Builder, call: Call[Signal]) -> Signal:
        (shape,), (axis,) = layer.outputs(call, build.pointer), layer.over(call.one.shape)
        value = cast(build, call.one, "float32")
        return Signal(shape, value=build.node(operator, value, axis=axis, keepdims=int(layer.keepdims)), dtype="int64")

    return lowered


lowers("ops.Argmax")(_place("ArgMax"))
lowers("ops.Argmin")(_place("ArgMin"))


@lowers("ops.Cumsum")
def cumulated(layer: Cumulative, build: Builder, call: Call[Signal]) -> str:
    """CumSum."""
    return build.node("CumSum", cast(build, call.one, "float32"), build.constant("axis", torch.tensor(layer.axis)))
