"""Bidirectional and TimeDistributed."""

from typing import Final

import torch

from service.keras.base import Call
from service.keras.layers.over_time import Bidirectional, TimeDistributed
from worker.load.builder import Builder
from worker.load.keras import Signal, lower_layer, lowers
from worker.load.keras.gates import inside
from worker.load.keras.packing import flipped

_MERGES: Final = {"sum": "Sum", "ave": "Mean", "mul": "Mul"}


@lowers("Bidirectional")
def bidirectional(layer: Bidirectional, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """Two operators, and their outputs merged; the second's steps stand in the order of time then."""
    ways = layer.ways(call, build.pointer)
    (one, *states), (two, *others) = [
        lower_layer(way.layer, inside(build, way.layer, way.place), way.call) for way in ways
    ]
    back = flipped(build, two.value, "in_order") if ways[0].layer.return_sequences else two.value
    if layer.merge_mode is None:
        return (one, Signal(two.shape, value=back, mask=two.mask), *states, *others)
    if layer.merge_mode == "concat":
        merged = build.node("Concat", one.value, back, axis=-1)
    else:
        merged = build.node(_MERGES[layer.merge_mode], one.value, back)
    shape = layer.outputs(call, build.pointer)[0]
    return (Signal(shape, value=merged, mask=one.mask), *states, *others)


@lowers("TimeDistributed")
def time_distributed(layer: TimeDistributed, build: Builder, call: Call[Signal]) -> tuple[str, ...]:
    """The layer inside on all steps at once, as if they were samples."""
    given, inner = call.one, layer.layer
    sizes = build.node("Shape", given.value, role="sizes", start=0, end=2)
    minus = build.constant("all", torch.tensor([-1]))
    one = build.node("Concat", minus, build.node("Shape", given.value, role="rest", start=2), role="step", axis=0)
    steps = build.node("Reshape", given.value, one, role="steps")
    within = inside(build, inner, "config/layer")
    stepped = layer.step(call).mapped(lambda each: Signal(each.shape, dtype=each.dtype, value=steps), Signal)
    found = []
    for index, made in enumerate(lower_layer(inner, within, stepped)):
        mark = str(index or "")
        rest = build.node("Shape", made.value, role=f"given{mark}", start=1)
        whole = build.node("Concat", sizes, rest, role=f"whole{mark}", axis=0)
        found.append(build.node("Reshape", made.value, whole, role=f"in_time{mark}"))
    return tuple(found)
