"""Functions of keras.ops that pick numbers, or give them several times."""

from typing import Final

import torch

from service.keras.axes import inner_axis
from service.keras.base import Call
from service.keras.layers.picking import Flip, GetItem, Repeat, Split, Take, Tile, Unstack
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.operands import like

_LAST: Final = 2**31 - 1
"""An end behind every axis's."""


@lowers("ops.GetItem")
def get_item(layer: GetItem, build: Builder, call: Call[Signal]) -> Signal:
    """Slice, and Squeeze where one number of an axis is taken."""
    parts = layer.parts(call, build.pointer)
    if not parts:
        return like(layer, build, call, build.node("Identity", call.one.value))
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
    if single:
        value = build.node("Squeeze", value, build.constant("single", torch.tensor(single)))
    return like(layer, build, call, value)


@lowers("ops.Split")
def split(layer: Split, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """Split."""
    sizes, axis = layer.sizes(call.one.shape, build.pointer), inner_axis(layer.axis, call.one.shape, build.pointer)
    outputs = tuple(f"part{index}" for index in range(len(sizes)))
    cut = build.constant("sizes", torch.tensor(sizes))
    values = build.nodes("Split", call.one.value, cut, outputs=outputs, axis=axis)
    shapes = layer.outputs(call, build.pointer)
    return tuple(Signal(shape, value=value, dtype=call.one.dtype) for shape, value in zip(shapes, values, strict=True))


@lowers("ops.Unstack")
def unstack(layer: Unstack, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """Gather at each place."""
    axis = inner_axis(layer.axis, call.one.shape, build.pointer)
    return tuple(
        Signal(
            shape,
            value=build.node(
                "Gather",
                call.one.value,
                build.constant(f"place{index}", torch.tensor(index)),
                role=f"part{index}",
                axis=axis,
            ),
            dtype=call.one.dtype,
        )
        for index, shape in enumerate(layer.outputs(call, build.pointer))
    )


@lowers("ops.Take")
def take(layer: Take, build: Builder, call: Call[Signal]) -> Signal:
    """Gather."""
    places = build.constant("places", torch.tensor(layer.indices(call, build.pointer)))
    axis = layer.along(call.one.shape, build.pointer)
    return like(layer, build, call, build.node("Gather", call.one.value, places, axis=axis))


@lowers("ops.Repeat")
def repeat(layer: Repeat, build: Builder, call: Call[Signal]) -> Signal:
    """Gather of each place several times."""
    axis = layer.along(call.one.shape, build.pointer)
    places = torch.arange(call.one.shape[axis - 1] or 0).repeat_interleave(layer.repeats)
    return like(layer, build, call, build.node("Gather", call.one.value, build.constant("places", places), axis=axis))


@lowers("ops.Tile")
def tile(layer: Tile, build: Builder, call: Call[Signal]) -> Signal:
    """Tile."""
    times = build.constant("times", torch.tensor(layer.times(call.one.shape, build.pointer)))
    return like(layer, build, call, build.node("Tile", call.one.value, times))


@lowers("ops.Flip")
def flip(layer: Flip, build: Builder, call: Call[Signal]) -> Signal:
    """Slice, backwards."""
    axes = layer.axes(call.one.shape, build.pointer)
    numbers = {"starts": [-1] * len(axes), "ends": [-_LAST] * len(axes), "axes": list(axes), "steps": [-1] * len(axes)}
    bounds = (build.constant(name, torch.tensor(values)) for name, values in numbers.items())
    return like(layer, build, call, build.node("Slice", call.one.value, *bounds))
