"""Activations."""

import torch

from service.contract.architecture import Shape
from service.contract.architecture.activation import Activation, Elu, Gelu, LeakyRelu, Prelu, Softmax
from service.contract.architecture.base import IMAGE, channels
from worker.load.builder import Builder
from worker.load.lowering import lowering
from worker.network.laws import Constant

_OPERATORS = {
    "relu": "Relu",
    "selu": "Selu",
    "mish": "Mish",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "hard_swish": "HardSwish",
    "softplus": "Softplus",
    "softsign": "Softsign",
}


@lowering(*_OPERATORS)
def activation(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """Put down the operator of the same name."""
    return build.node(_OPERATORS[layer.kind], value)


@lowering("silu")
def silu(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """x times its sigmoid."""
    return build.node("Mul", value, build.node("Sigmoid", value, role="sigmoid"))


@lowering("relu6")
def relu6(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """Clip to [0, 6]."""
    low, high = (build.constant(role, torch.tensor(limit)) for role, limit in (("low", 0.0), ("high", 6.0)))
    return build.node("Clip", value, low, high)


@lowering("hard_sigmoid")
def hard_sigmoid(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """x / 6 + 1 / 2 between 0 and 1, as in PyTorch and Keras 3."""
    return build.node("HardSigmoid", value, alpha=1 / 6, beta=0.5)


@lowering("leaky_relu", "elu")
def leaky(layer: LeakyRelu | Elu, build: Builder, value: str, shape: Shape) -> str:
    """LeakyRelu or Elu."""
    return build.node("LeakyRelu" if layer.kind == "leaky_relu" else "Elu", value, alpha=layer.alpha)


@lowering("gelu")
def gelu(layer: Gelu, build: Builder, value: str, shape: Shape) -> str:
    """Gelu."""
    return build.node("Gelu", value, approximate=layer.approximate)


@lowering("prelu")
def prelu(layer: Prelu, build: Builder, value: str, shape: Shape) -> str:
    """PRelu, a slope per channel."""
    size = (channels(shape), 1, 1) if len(shape) == IMAGE else (channels(shape),)
    return build.node("PRelu", value, build.parameter("alpha", Constant(size, layer.alpha)))


@lowering("softmax", "log_softmax")
def softmax(layer: Softmax, build: Builder, value: str, shape: Shape) -> str:
    """Softmax or LogSoftmax along the channels."""
    axis = 1 if len(shape) == IMAGE else -1
    return build.node("Softmax" if layer.kind == "softmax" else "LogSoftmax", value, axis=axis)
