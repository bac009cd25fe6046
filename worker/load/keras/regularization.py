"""Noise in training; whether it is training is the run's choice."""

from collections.abc import Callable
from typing import TypeVar

import torch

from service.keras.base import Call, KerasLayer
from service.keras.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout,
)
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.network.ops.noise import OWN

Some = TypeVar("Some", bound=Callable[..., str])


def noise(*names: str) -> Callable[[Some], Some]:
    """Register a function for these classes; a layer that is in evaluation for good is an Identity."""

    def register(function: Some) -> Some:
        def lowered(layer: KerasLayer, build: Builder, call: Call[Signal]) -> str:
            return build.node("Identity", call.one.value) if build.settled else function(layer, build, call)

        lowers(*names)(lowered)
        return function

    return register


@noise("Dropout")
def dropout(layer: Dropout, build: Builder, call: Call[Signal]) -> str:
    """Dropout, of this project's own where one draw holds along an axis."""
    if axes := layer.shared(call.one.shape):
        return build.node("Dropout", call.one.value, domain=OWN, ratio=layer.rate, axes=axes)
    return build.node("Dropout", call.one.value, build.constant("rate", torch.tensor(layer.rate)))


@noise("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
def spatial_dropout(layer: SpatialDropout, build: Builder, call: Call[Signal]) -> str:
    """Dropout of this project's own, one draw for a channel."""
    return build.node("Dropout", call.one.value, domain=OWN, ratio=layer.rate, axes=layer.shared(call.one.shape))


@noise("AlphaDropout")
def alpha_dropout(layer: AlphaDropout, build: Builder, call: Call[Signal]) -> str:
    """AlphaDropout of this project's own."""
    return build.node("AlphaDropout", call.one.value, domain=OWN, ratio=layer.rate, axes=layer.shared(call.one.shape))


@noise("GaussianDropout")
def gaussian_dropout(layer: GaussianDropout, build: Builder, call: Call[Signal]) -> str:
    """GaussianDropout of this project's own."""
    return build.node("GaussianDropout", call.one.value, domain=OWN, ratio=layer.rate)


@noise("GaussianNoise")
def gaussian_noise(layer: GaussianNoise, build: Builder, call: Call[Signal]) -> str:
    """GaussianNoise of this project's own."""
    return build.node("GaussianNoise", call.one.value, domain=OWN, std=layer.stddev)


@lowers("ActivityRegularization")
def activity(layer: ActivityRegularization, build: Builder, call: Call[Signal]) -> str:
    """Identity."""
    return build.node("Identity", call.one.value)
