"""End-to-end gradient gains against mean-field theory, prints them as JSON.

Every network starts at its theory's fixed point, so that each layer has the same expected gain.  `theory` is ln of the
squared gain per layer less the bias κ/2n of a finite width; `sd` is √(κ/(n·layers·seeds)), what redraws of the weights
explain; `z` is the deviation in these units.

    python benchmarks/theory.py [width] [layers] [seeds]

Sources: Poole et al. 2016 and Schoenholz et al. 2017 (χ₁, q*), Klambauer et al. 2017 (SELU), Roberts, Yaida and Hanin
2022 (GELU), Yang et al. 2019 (batch norm), Hanin and Nica 2018 (κ), Xiao et al. 2018 (convolutions).
"""

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

import torch

from service.contract.architecture import parse
from service.contract.words import LossName
from worker.load.architecture import lower
from worker.loss import Loss
from worker.probe.evidence import Gain
from worker.probe.gain import measure_gain
from worker.probe.sweep import sweep
from worker.subject import Batch, Subject

Layers = list[dict[str, Any]]
Build = Callable[[int, int], Layers]
"""Describes a network, without its head, given width and depth."""
SAMPLES = 64


@dataclass(frozen=True)
class Truth:
    """What theory says of one kind of network."""

    name: str
    layers: Build
    gain: float
    """ln of the squared gain per layer."""
    kurtosis: float = 5.0
    """κ: what a finite width does; 0 where nothing is random."""
    spread: float = 1.0
    """How much wider than √(κ/nL) the gains scatter, where theory says so."""
    slack: float = 0.0
    """What theory itself leaves open per layer: samples, transients."""


def dense(units: int, weights: float, biases: float = 0.0, fan: int | None = None, **more: object) -> dict[str, Any]:
    """Return a dense layer with these variances (the weights' over the fan)."""
    laws = [
        {"law": "normal", "std": math.sqrt(each)} if each else "zeros" for each in (weights / (fan or units), biases)
    ]
    return {"kind": "dense", "units": units, "init": dict(zip(("kernel", "bias"), laws, strict=True)), **more}


def plain(activation: str, weights: float, biases: float, length: float, **more: object) -> Build:
    """Return a chain whose pre-activations have their fixed point's second moment, `length`, from the first layer on.

    `norm` stands before each activation; `orthogonal` chooses the law of the kernels; all else is the activation's.
    """
    norms = [{"kind": norm}] if (norm := more.pop("norm", None)) else []
    matrix = {"law": "orthogonal", "gain": math.sqrt(weights)} if more.pop("orthogonal", False) else None

    def build(width: int, depth: int) -> Layers:
        first, later = dense(width, length - biases, biases), dense(width, weights, biases)
        later = {**later, "init": matrix or later["init"]}
        activations = [*norms, {"kind": activation, **more}]
        return [first, *[*activations, later] * (depth - 1), *activations]

    return build


def lawful(activation: str | None, law: object) -> Build:
    """Return a chain drawn by a named law, PyTorch's own where it is None."""

    def build(width: int, depth: int) -> Layers:
        one = {"kind": "dense", "units": width, **({"init": law} if law else {})}
        return [*([one, {"kind": activation}] if activation else [one])] * depth

    return build


def residual(inner: Layers) -> Build:
    """Return residual blocks behind a dense layer; dense layers take the chain's width."""

    def build(width: int, depth: int) -> Layers:
        layers = [{**each, "units": width} if each["kind"] == "dense" else each for each in inner]
        block = {"kind": "residual", "layers": layers}
        return [dense(width, 1.0), *[block] * (depth - 1)]

    return build


HE = {"kind": "dense", "init": "he_normal"}
RELU = {"kind": "relu"}

TRUTHS = (
    Truth("relu, He", plain("relu", 2, 0, 2), 0.0),
    Truth("relu, He uniform", lawful("relu", "he_uniform"), 0.0),
    Truth("relu, Xavier", lawful("relu", "xavier_normal"), math.log(1 / 2)),
    Truth("relu, PyTorch's default", lawful("relu", None), math.log(1 / 6)),
    Truth("leaky_relu 0.2, He's for it", plain("leaky_relu", 1.923077, 0, 1, alpha=0.2), 0.0, 4.55621),
    Truth("linear, PyTorch's default", lawful(None, None), math.log(1 / 3), 2.0),
    Truth("linear, orthogonal", lawful(None, "orthogonal"), 0.0, 0.0),
    Truth("tanh, orthogonal 1.05", plain("tanh", 1.05, 0, 0.025497, orthogonal=True), 0.000752, 2.0),
    Truth("tanh, critical", plain("tanh", 1.760955, 0.05, 0.570048), 0.0, 3.02677),
    Truth("tanh, chaotic", plain("tanh", 4, 0.05, 2.195494), 0.294461, 5.35559),
    Truth("sigmoid, Xavier", plain("sigmoid", 1, 0, 0.264687), -2.887403, 2.06308),
    Truth("sigmoid, 16", plain("sigmoid", 16, 0, 5.855401), -0.919097, 4.42882),
    Truth("selu, LeCun", plain("selu", 1, 0, 1), math.log(1.071575), 2.94859),
    Truth("gelu, critical", plain("gelu", 1.98305826, 0.17292239, 3.561553), 0.0, 3.5, 3.0),
    Truth("relu, batch norm of 64", plain("relu", 2, 0, 1, norm="batch_norm"), math.log(1.4845), slack=0.03),
    Truth("relu, layer norm", plain("relu", 2, 0, 1, norm="layer_norm"), 0.0),
    Truth("tanh, layer norm", plain("tanh", 2, 0, 0.788589, norm="layer_norm"), math.log(1.177807), 3.5),
    Truth("sigmoid, layer norm", plain("sigmoid", 2, 0, 0.586757, norm="layer_norm"), math.log(0.152827), 2.2),
    Truth("residual, He", residual([RELU, HE, RELU, HE]), math.log(2)),
    Truth("residual, He, one relu", residual([HE, RELU, HE]), math.log(3)),
    Truth("residual, zero-initialised", residual([HE, RELU, {"kind": "dense", "init": "zeros"}]), 0.0, 0.0),
)
"""Constants: quadrature; batch norm's is measured for 64 samples (Yang's π/(π − 1) = 1.467 is for infinitely many)."""


def subject(layers: Layers, width: int, seed: int) -> Subject:
    """Return a network of these layers and a head, with normal inputs and targets."""
    document = {"gradgate": "1", "input": {"shape": [width]}, "layers": [*layers, {"kind": "dense", "units": 4}]}
    graph = lower(parse(json.dumps(document).encode()), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    inputs = {"input": torch.randn(SAMPLES, width, generator=generator)}
    batch = Batch(inputs, torch.randn(SAMPLES, 4, generator=generator))
    return Subject(graph, batch, Loss(LossName.MSE), output=graph.outputs[0], seed=seed)


def gain(subject: Subject) -> Gain:
    """Return the measured gain; these networks all have one."""
    found = measure_gain(sweep(subject))
    if found is None:
        msg = "a chain of layers has a gain"
        raise AssertionError(msg)
    return found


@dataclass(frozen=True)
class Row:
    """Theory and measurement of one kind of network."""

    name: str
    theory: float
    measured: float
    sd: float
    slack: float

    @property
    def z(self) -> float:
        """The deviation beyond the slack, in standard deviations."""
        return max(abs(self.measured - self.theory) - self.slack, 0.0) / max(self.sd, 1e-5)


def measure(truth: Truth, width: int, depth: int, seeds: int) -> Row:
    """Return the mean gain per layer over seeds, beside theory's."""
    gains = [gain(subject(truth.layers(width, depth), width, seed)) for seed in range(seeds)]
    measured = mean(each.total / len(each.segments) for each in gains)
    sd = truth.spread * math.sqrt(truth.kurtosis / (width * (depth - 1) * seeds))
    return Row(truth.name, truth.gain - truth.kurtosis / (2 * width), measured, sd, truth.slack)


def main() -> None:
    """Measure every truth."""
    given = [int(each) for each in sys.argv[1:]]
    width, depth, seeds = (*given, *(512, 30, 4)[len(given) :])
    rows = [measure(truth, width, depth, seeds) for truth in TRUTHS]
    shown = [{**vars(row), "z": round(row.z, 2)} for row in rows]
    print(json.dumps({"width": width, "layers": depth, "seeds": seeds, "rows": shown}, indent=2))


if __name__ == "__main__":
    main()
