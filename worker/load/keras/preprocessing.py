"""Layers before a model."""

from typing import Final

import torch

from service.keras.base import Call
from service.keras.layers.preprocessing import AUGMENTATIONS, Augmentation, Normalization, Rescaling
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.operands import cast, like

LEAST: Final = 1e-7
"""The smallest deviation that Keras divides by."""


@lowers("Rescaling")
def rescaling(layer: Rescaling, build: Builder, call: Call[Signal]) -> str:
    """Mul and Add."""
    scale, offset = (
        build.constant(key, torch.tensor(getattr(layer, key), dtype=torch.float32)) for key in ("scale", "offset")
    )
    return build.node("Add", build.node("Mul", cast(build, call.one, "float32"), scale, role="scaled"), offset)


@lowers("Normalization")
def normalization(layer: Normalization, build: Builder, call: Call[Signal]) -> str:
    """Sub and Div, or, inverted, Mul and Add."""
    value, shape = cast(build, call.one, "float32"), call.one.shape
    if layer.adapted:
        over = [axis for axis in range(len(shape) + 1) if axis not in layer.kept(shape)]
        return build.node("MeanVarianceNormalization", value, axes=tuple(over))
    mean, variance = (torch.tensor(given, dtype=torch.float32) for given in (layer.mean, layer.variance))
    middle = build.constant("mean", mean.reshape(layer.laid(tuple(mean.shape), shape)))
    deviation = variance.sqrt().clamp(min=LEAST).reshape(layer.laid(tuple(variance.shape), shape))
    spread = build.constant("deviation", deviation)
    if layer.invert:
        return build.node("Add", build.node("Mul", value, spread, role="scaled"), middle)
    return build.node("Div", build.node("Sub", value, middle, role="centred"), spread)


@lowers(*AUGMENTATIONS)
def passed(layer: Augmentation, build: Builder, call: Call[Signal]) -> Signal:
    """Identity."""
    return like(layer, build, call, build.node("Identity", call.one.value))
