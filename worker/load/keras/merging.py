"""Layers that join several tensors."""

from collections.abc import Sequence
from string import ascii_letters
from typing import Final

import torch

from service.keras.base import Call
from service.keras.layers.merging import Concatenate, Dot, Elementwise
from worker.load.builder import Builder
from worker.load.formulas import number
from worker.load.keras import Signal, lowers
from worker.load.keras.operands import operands

_OPERATORS: Final = {"Add": "Sum", "Average": "Mean", "Maximum": "Max", "Minimum": "Min"}
_PAIRS: Final = {"Multiply": "Mul", "Subtract": "Sub"}
LEAST: Final = 1e-7
"""The smallest square of a length that Keras divides by."""


@lowers(*_OPERATORS, *_PAIRS)
def elementwise(layer: Elementwise, build: Builder, call: Call[Signal]) -> Signal:
    """Put down the operator of the same name; Mul takes two values at a time."""
    values, dtype = operands(build, call.leaves, "float32")
    (shape,) = layer.outputs(call, build.pointer)
    given = [
        _widened(build, value, len(shape) - len(each.shape), index)
        for index, (value, each) in enumerate(zip(values, call.leaves, strict=True))
    ]
    mask = _either(build, [each.mask for each in call.leaves])
    if layer.kind in _OPERATORS:
        return Signal(shape, value=build.node(_OPERATORS[layer.kind], *given), mask=mask, dtype=dtype)
    value, *others = given
    for index, other in enumerate(others, 2):
        value = build.node(_PAIRS[layer.kind], value, other, role="" if index == len(given) else f"product{index}")
    value = value if others else build.node("Identity", value)
    return Signal(shape, value=value, mask=mask, dtype=dtype)


def _widened(build: Builder, value: str, lacking: int, index: int) -> str:
    if not lacking:
        return value
    axes = build.constant(f"axes{index}", torch.arange(1, lacking + 1))
    return build.node("Unsqueeze", value, axes, role=f"wide{index}")


def _either(build: Builder, masks: Sequence[str | None]) -> str | None:
    """Return the mask of steps that count in any of the tensors; None where one has none."""
    known = [mask for mask in masks if mask is not None]
    if len(known) < len(masks) or len(set(known)) == 1:
        return known[0] if len(known) == len(masks) else None
    mask = known[0]
    for index, other in enumerate(known[1:]):
        mask = build.node("Or", mask, other, role=f"mask{index}")
    return mask


@lowers("Concatenate")
def concatenate(layer: Concatenate, build: Builder, call: Call[Signal]) -> Signal:
    """Concat, of the masks as well where steps are laid behind each other."""
    values, dtype = operands(build, call.leaves)
    (shape,), axis = layer.outputs(call, build.pointer), layer.along(call)
    mask = None
    if any(each.mask for each in call.leaves):
        mask = (
            _steps(build, call.leaves)
            if axis == 1 and len(shape) > 1
            else _either(build, [e.mask for e in call.leaves])
        )
    return Signal(shape, value=build.node("Concat", *values, axis=axis), mask=mask, dtype=dtype)


def _steps(build: Builder, given: Sequence[Signal]) -> str:
    """Put down the masks behind each other; all steps of a tensor without one count."""
    masks = []
    for index, each in enumerate(given):
        if each.mask is not None:
            masks.append(each.mask)
            continue
        sizes = build.node("Shape", each.value, role=f"sizes{index}", start=0, end=2)
        filler = torch.ones(1, dtype=torch.bool)
        masks.append(build.node("ConstantOfShape", sizes, role=f"all{index}", value=filler))
    return build.node("Concat", *masks, role="mask", axis=1)


@lowers("Dot")
def dot(layer: Dot, build: Builder, call: Call[Signal]) -> Signal:
    """Einsum, perhaps of tensors divided by their lengths."""
    axes = layer.along(call)
    values, _ = operands(build, call.leaves, "float32")
    if layer.normalize:
        values = [
            _unit(build, value, axis, index) for index, (value, axis) in enumerate(zip(values, axes, strict=True))
        ]
    letters = iter(ascii_letters[2:])
    names = [
        "a" + "".join("b" if place == axis else next(letters) for place in range(1, len(each.shape) + 1))
        for each, axis in zip(call.leaves, axes, strict=True)
    ]
    made = "a" + "".join(letter for name in names for letter in name if letter not in "ab")
    (shape,) = layer.outputs(call, build.pointer)
    role = "" if len(made) > 1 else "product"
    value = build.node("Einsum", *values, role=role, equation=f"{names[0]},{names[1]}->{made}")
    if len(made) == 1:
        value = build.node("Unsqueeze", value, build.constant("last", torch.tensor([1])))
    return Signal(shape, value=value)


def _unit(build: Builder, value: str, axis: int, index: int) -> str:
    axes = build.constant(f"axes{index}", torch.tensor([axis]))
    square = build.node("ReduceSumSquare", value, axes, role=f"square{index}", keepdims=1)
    bounded = build.node("Max", square, number(build, f"least{index}", LEAST), role=f"bounded{index}")
    return build.node("Div", value, build.node("Sqrt", bounded, role=f"length{index}"), role=f"unit{index}")
