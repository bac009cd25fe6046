"""A truth: one kind of network, and what theory says of its gradient."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from service.contract.architecture import parse
from service.contract.words import LossName
from worker.load.architecture import lower
from worker.loss import Loss
from worker.subject import Batch, Subject

Layers = list[dict[str, Any]]
Build = Callable[[int, int], Layers]
"""Describes a network, without its head, given width and depth."""
SAMPLES = 64
IMAGES = 16
"""Samples of a network that reads images."""


@dataclass(frozen=True)
class Truth:
    """What theory says of one kind of network."""

    name: str
    layers: Build
    gain: float
    """ln of the squared gain per layer, block or time step."""
    kurtosis: float = 5.0
    """κ: what a finite width does; 0 where nothing is random."""
    spread: float = 1.0
    """How much wider than √(κ/nL) the gains scatter, where theory says so."""
    slack: float = 0.0
    """What theory itself leaves open per layer: samples, transients."""
    image: int = 0
    """Height and width of the images that it reads; `width` counts channels then."""
    in_time: bool = False
    """Whether the gain is per step of a sequence; depth counts its steps then."""


def dense(units: int, weights: float, biases: float = 0.0, **more: object) -> dict[str, Any]:
    """Return a dense layer with these variances (the weights' over the fan)."""
    laws = [{"law": "normal", "std": math.sqrt(each)} if each else "zeros" for each in (weights / units, biases)]
    return {"kind": "dense", "units": units, "init": dict(zip(("kernel", "bias"), laws, strict=True)), **more}


def subject(truth: Truth, width: int, depth: int, seed: int) -> Subject:
    """Return a network of this kind with a head, and normal inputs and targets."""
    shape = _shape(truth, width, depth)
    layers = [
        *truth.layers(width, depth),
        *([{"kind": "flatten"}] if truth.image else []),
        {"kind": "dense", "units": 4},
    ]
    document = {"gradgate": "1", "input": {"shape": shape}, "layers": layers}
    graph = lower(parse(json.dumps(document).encode()), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    size = IMAGES if truth.image else SAMPLES
    inputs = {"input": torch.randn(size, *shape, generator=generator)}
    batch = Batch(inputs, torch.randn(size, 4, generator=generator))
    return Subject(graph, batch, Loss(LossName.MSE), output=graph.outputs[0], seed=seed)


def _shape(truth: Truth, width: int, depth: int) -> list[int]:
    if truth.image:
        return [width, truth.image, truth.image]
    return [depth, width] if truth.in_time else [width]
