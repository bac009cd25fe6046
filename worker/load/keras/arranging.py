"""Functions of keras.ops that arrange numbers."""

import torch

from service.keras.base import Call
from service.keras.layers.arithmetic import inside
from service.keras.layers.arranging import ExpandDims, GetItem, Join, Pad, Reshape, Squeeze, Transpose
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers

_LAST = 2**31 - 1
"""An end behind every axis's."""


@lowers("ops.Reshape")
def reshape(layer: Reshape, build: Builder, call: Call[Signal]) -> str:
    """Reshape; 0 keeps the batch's size."""
    shape = layer.output(call.one.shape, build.pointer)
    sizes = [0, *(-1 if size is None else size for size in shape)]
    return build.node("Reshape", call.one.value, build.constant("shape", torch.tensor(sizes)))


@lowers("ops.Transpose", "ops.Swapaxes")
def transpose(layer: Transpose, build: Builder, call: Call[Signal]) -> str:
    """Transpose."""
    return build.node("Transpose", call.one.value, perm=layer.order(call.one.shape, build.pointer))


@lowers("ops.ExpandDims")
def expand_dims(layer: ExpandDims, build: Builder, call: Call[Signal]) -> str:
    """Unsqueeze."""
    axis = build.constant("axes", torch.tensor([layer.place(call.one.shape, build.pointer)]))
    return build.node("Unsqueeze", call.one.value, axis)


@lowers("ops.Squeeze")
def squeeze(layer: Squeeze, build: Builder, call: Call[Signal]) -> str:
    """Squeeze."""
    axis = build.constant("axes", torch.tensor([inside(layer.axis, call.one.shape, build.pointer)]))
    return build.node("Squeeze", call.one.value, axis)


@lowers("ops.Concatenate")
def concatenate(layer: Join, build: Builder, call: Call[Signal]) -> str:
    """Concat."""
    return build.node("Concat", *(each.value for each in call.leaves), axis=inside(layer.axis, call.one.shape, ""))


@lowers("ops.Stack")
def stack(layer: Join, build: Builder, call: Call[Signal]) -> str:
    """Concat along a new axis."""
    axis = inside(layer.axis, (*call.one.shape, 1), "")
    axes = build.constant("axes", torch.tensor([axis]))
    wide = [build.node("Unsqueeze", each.value, axes, role=f"wide{index}") for index, each in enumerate(call.leaves)]
    return build.node("Concat", *wide, axis=axis)


@lowers("ops.Pad")
def pad(layer: Pad, build: Builder, call: Call[Signal]) -> str:
    """Pad."""
    before, behind = zip(*layer.pad_width, strict=True)
    return build.node("Pad", call.one.value, build.constant("pads", torch.tensor([*before, *behind])), mode=layer.mode)


@lowers("ops.GetItem")
def get_item(layer: GetItem, build: Builder, call: Call[Signal]) -> str:
    """Slice, and Squeeze where one number of an axis is taken."""
    parts = layer.parts(call, build.pointer)
    if not parts:
        return build.node("Identity", call.one.value)
    slices = [part if isinstance(part, slice) else slice(part, part + 1 or None) for _, part in parts]
    numbers = {
        "starts": [each.start or 0 for each in slices],
        "ends": [_LAST if each.stop is None else each.stop for each in slices],
        "axes": [axis for axis, _ in parts],
        "steps": [each.step or 1 for each in slices],
    }
    single = [axis for axis, part in parts if not isinstance(part, slice)]
    bounds = [build.constant(name, torch.tensor(values)) for name, values in numbers.items()]
    value = build.node("Slice", call.one.value, *bounds, role="part" if single else "")
    return build.node("Squeeze", value, build.constant("single", torch.tensor(single))) if single else value
