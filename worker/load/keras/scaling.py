"""Layers of keras.applications that scale what a branch adds."""

import torch

from service.keras.base import Call
from service.keras.layers.scaling import CustomScaleLayer, LayerScale
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.weights import weight


@lowers("LayerScale")
def layer_scale(layer: LayerScale, build: Builder, call: Call[Signal]) -> str:
    """Mul."""
    return build.node("Mul", call.one.value, weight(layer, build, "gamma", (layer.projection_dim,)))


@lowers("CustomScaleLayer")
def scaled_sum(layer: CustomScaleLayer, build: Builder, call: Call[Signal]) -> str:
    """Mul and Add."""
    first, second = call.leaves
    factor = build.constant("scale", torch.tensor(layer.scale))
    return build.node("Add", first.value, build.node("Mul", second.value, factor, role="scaled"))
