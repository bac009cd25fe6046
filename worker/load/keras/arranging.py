"""Functions of keras.ops that arrange numbers."""

import torch

from service.keras.axes import inner_axis
from service.keras.base import Call
from service.keras.layers.arranging import ExpandDims, Join, Pad, Reshape, Squeeze, Transpose
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.operands import like, operands


@lowers("ops.Reshape")
def reshape(layer: Reshape, build: Builder, call: Call[Signal]) -> Signal:
    """Reshape; 0 keeps the batch's size."""
    shape = layer.output(call.one.shape, build.pointer)
    sizes = build.constant("shape", torch.tensor([0, *(-1 if size is None else size for size in shape)]))
    return like(layer, build, call, build.node("Reshape", call.one.value, sizes))


@lowers("ops.Transpose", "ops.Swapaxes", "ops.Moveaxis")
def transpose(layer: Transpose, build: Builder, call: Call[Signal]) -> Signal:
    """Transpose."""
    order = layer.order(call.one.shape, build.pointer)
    return like(layer, build, call, build.node("Transpose", call.one.value, perm=order))


@lowers("ops.ExpandDims")
def expand_dims(layer: ExpandDims, build: Builder, call: Call[Signal]) -> Signal:
    """Unsqueeze."""
    axis = build.constant("axes", torch.tensor([layer.place(call.one.shape, build.pointer)]))
    return like(layer, build, call, build.node("Unsqueeze", call.one.value, axis))


@lowers("ops.Squeeze")
def squeeze(layer: Squeeze, build: Builder, call: Call[Signal]) -> Signal:
    """Squeeze."""
    axis = build.constant("axes", torch.tensor([inner_axis(layer.axis, call.one.shape, build.pointer)]))
    return like(layer, build, call, build.node("Squeeze", call.one.value, axis))


@lowers("ops.Concatenate")
def concatenate(layer: Join, build: Builder, call: Call[Signal]) -> Signal:
    """Concat."""
    values, dtype = operands(build, call.leaves)
    (shape,) = layer.outputs(call, build.pointer)
    axis = inner_axis(layer.axis, call.one.shape, build.pointer)
    return Signal(shape, value=build.node("Concat", *values, axis=axis), dtype=dtype)


@lowers("ops.Stack")
def stack(layer: Join, build: Builder, call: Call[Signal]) -> Signal:
    """Concat along a new axis."""
    values, dtype = operands(build, call.leaves)
    (shape,) = layer.outputs(call, build.pointer)
    axis = inner_axis(layer.axis, (*call.one.shape, 1), build.pointer)
    axes = build.constant("axes", torch.tensor([axis]))
    wide = [build.node("Unsqueeze", each, axes, role=f"wide{index}") for index, each in enumerate(values)]
    return Signal(shape, value=build.node("Concat", *wide, axis=axis), dtype=dtype)


@lowers("ops.Pad")
def pad(layer: Pad, build: Builder, call: Call[Signal]) -> Signal:
    """Pad."""
    before, behind = zip(*layer.pad_width, strict=True)
    pads = build.constant("pads", torch.tensor([*before, *behind]))
    return like(layer, build, call, build.node("Pad", call.one.value, pads, mode=layer.mode))
