"""Operands of keras.ops: tensors and constants of one type."""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import torch

from service.keras.base import Call, KerasLayer
from worker.load.builder import Builder
from worker.load.keras import Signal

DType: TypeAlias = Literal["float32", "int64", "bool"]
TYPES: Final = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}
NUMBERS: Final = {"float32": 1, "int64": 7, "bool": 9}
"""ONNX's numbers of types."""


def cast(build: Builder, signal: Signal, wanted: str, role: str = "cast") -> str:
    """Return the signal's value in a type; a Cast where it has another."""
    if signal.dtype == wanted:
        return signal.value
    return build.node("Cast", signal.value, role=role, to=NUMBERS[wanted])


def typed(signal: Signal, value: str, dtype: str = "float32") -> Signal:
    """Return a value in the shape of a signal."""
    return Signal(signal.shape, value=value, dtype=dtype)  # type: ignore[arg-type]


def like(layer: KerasLayer, build: Builder, call: Call[Signal], value: str) -> Signal:
    """Return a layer's only output, of the type of its first input."""
    (shape,) = layer.outputs(call, build.pointer)
    return Signal(shape, value=value, dtype=call.one.dtype)


def operands(
    build: Builder, arguments: Sequence[Any], among: str | None = None, stem: str = "operand"
) -> tuple[list[str], DType]:
    """Return the values of tensors and constants in one type: `among`, or the widest that one of them has."""
    wanted = among or _widest(arguments)
    values = []
    for index, argument in enumerate(arguments):
        role = f"{stem}{index}"
        if isinstance(argument, Signal):
            values.append(cast(build, argument, wanted, role))
        else:
            values.append(build.constant(role, torch.tensor(argument, dtype=TYPES[wanted])))
    return values, wanted  # type: ignore[return-value]


def _widest(arguments: Sequence[Any]) -> str:
    found = {each.dtype if isinstance(each, Signal) else _kind(each) for each in arguments}
    return next(kind for kind in TYPES if kind in found)


def _kind(constant: Any) -> str:  # noqa: ANN401  a number, or nested lists
    if isinstance(constant, list):
        kinds = {_kind(each) for each in constant}
        return next((kind for kind in TYPES if kind in kinds), "float32")
    if isinstance(constant, bool):
        return "bool"
    return "int64" if isinstance(constant, int) else "float32"
