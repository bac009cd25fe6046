"""Layers that move numbers about."""

import torch

from service.keras.base import Call
from service.keras.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.operands import like


@lowers("Flatten")
def flatten(layer: Flatten, build: Builder, call: Call[Signal]) -> Signal:
    """Flatten."""
    value, rank = call.one.value, len(call.one.shape) + 1
    if layer.data_format == "channels_first" and rank > 2:  # noqa: PLR2004  a vector has channels alone
        value = build.node("Transpose", value, role="turned", perm=(0, *range(2, rank), 1))
    return like(layer, build, call, build.node("Flatten", value, axis=1))


@lowers("Reshape")
def reshape(layer: Reshape, build: Builder, call: Call[Signal]) -> Signal:
    """Reshape; 0 keeps the batch's size."""
    shape = layer.output(call.one.shape, build.pointer)
    sizes = build.constant("shape", torch.tensor([0, *(-1 if size is None else size for size in shape)]))
    return like(layer, build, call, build.node("Reshape", call.one.value, sizes))


@lowers("Permute")
def permute(layer: Permute, build: Builder, call: Call[Signal]) -> Signal:
    """Transpose."""
    return like(layer, build, call, build.node("Transpose", call.one.value, perm=(0, *layer.dims)))


@lowers("RepeatVector")
def repeat_vector(layer: RepeatVector, build: Builder, call: Call[Signal]) -> Signal:
    """Unsqueeze and Tile."""
    wide = build.node("Unsqueeze", call.one.value, build.constant("axes", torch.tensor([1])), role="wide")
    return like(layer, build, call, build.node("Tile", wide, build.constant("times", torch.tensor([1, layer.n, 1]))))
