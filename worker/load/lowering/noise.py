"""Noise in training; whether it is training is the run's choice."""

import torch

from service.contract.architecture import Shape
from service.contract.architecture.base import IMAGE
from service.contract.architecture.noise import AlphaDropout, Dropout, GaussianDropout, GaussianNoise, SpatialDropout
from worker.load.builder import Builder
from worker.load.lowering import lowering
from worker.network.ops.noise import OWN


@lowering("dropout")
def dropout(layer: Dropout, build: Builder, value: str, shape: Shape) -> str:
    """Dropout."""
    return build.node("Dropout", value, build.constant("rate", torch.tensor(layer.rate)))


@lowering("spatial_dropout")
def spatial_dropout(layer: SpatialDropout, build: Builder, value: str, shape: Shape) -> str:
    """Dropout of the project's own, one draw for a channel."""
    axes = tuple(range(2, len(shape) + 1)) if len(shape) >= IMAGE else (1,)
    return build.node("Dropout", value, domain=OWN, ratio=layer.rate, axes=axes)


@lowering("alpha_dropout")
def alpha_dropout(layer: AlphaDropout, build: Builder, value: str, shape: Shape) -> str:
    """AlphaDropout of the project's own."""
    return build.node("AlphaDropout", value, domain=OWN, ratio=layer.rate)


@lowering("gaussian_dropout")
def gaussian_dropout(layer: GaussianDropout, build: Builder, value: str, shape: Shape) -> str:
    """GaussianDropout of the project's own."""
    return build.node("GaussianDropout", value, domain=OWN, ratio=layer.rate)


@lowering("gaussian_noise")
def gaussian_noise(layer: GaussianNoise, build: Builder, value: str, shape: Shape) -> str:
    """GaussianNoise of the project's own."""
    return build.node("GaussianNoise", value, domain=OWN, std=layer.std)
