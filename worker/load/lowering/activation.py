"""Activations."""

import torch

from service.contract.architecture import Shape
from service.contract.architecture.activation import (
    Activation,
    Celu,
    Elu,
    Gelu,
    HardTanh,
    LeakyRelu,
    Prelu,
    RandomRelu,
    Shrink,
    Softplus,
    Squareplus,
    Threshold,
)
from worker.load.builder import Builder
from worker.load.lowering import lowering
from worker.network.laws import Constant
from worker.network.ops.noise import OWN

_OPERATORS = {
    "relu": "Relu",
    "selu": "Selu",
    "mish": "Mish",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "hard_swish": "HardSwish",
    "softsign": "Softsign",
    "exponential": "Exp",
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
    return build.node("Clip", value, _number(build, "low", 0), _number(build, "high", 6))


@lowering("hard_tanh")
def hard_tanh(layer: HardTanh, build: Builder, value: str, shape: Shape) -> str:
    """Clip."""
    return build.node("Clip", value, _number(build, "low", layer.low), _number(build, "high", layer.high))


@lowering("hard_sigmoid")
def hard_sigmoid(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """x / 6 + 1 / 2 between 0 and 1, as in PyTorch and Keras 3."""
    return build.node("HardSigmoid", value, alpha=1 / 6, beta=0.5)


@lowering("sparse_sigmoid")
def sparse_sigmoid(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """(x + 1) / 2 between 0 and 1."""
    return build.node("HardSigmoid", value, alpha=0.5, beta=0.5)


@lowering("sparse_plus")
def sparse_plus(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """0 below -1, (x + 1)² / 4 up to 1, x above: the square of the part between, plus what is above."""
    one = _number(build, "one", 1)
    between = build.node("Clip", value, _number(build, "low", -1), one, role="between")
    half = build.node("Mul", build.node("Add", between, one, role="raised"), _number(build, "half", 0.5), role="halved")
    above = build.node("Relu", build.node("Sub", value, one, role="lowered"), role="above")
    return build.node("Add", build.node("Mul", half, half, role="square"), above)


@lowering("log_sigmoid")
def log_sigmoid(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """-softplus(-x)."""
    return build.node("Neg", build.node("Softplus", build.node("Neg", value, role="turned"), role="softplus"))


@lowering("tanh_shrink")
def tanh_shrink(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """x - tanh x."""
    return build.node("Sub", value, build.node("Tanh", value, role="tanh"))


@lowering("leaky_relu", "elu", "celu")
def leaky(layer: LeakyRelu | Elu | Celu, build: Builder, value: str, shape: Shape) -> str:
    """LeakyRelu, Elu or Celu."""
    operator = {"leaky_relu": "LeakyRelu", "elu": "Elu", "celu": "Celu"}[layer.kind]
    return build.node(operator, value, alpha=layer.alpha)


@lowering("rrelu")
def random_relu(layer: RandomRelu, build: Builder, value: str, shape: Shape) -> str:
    """An operator of the project's own; LeakyRelu in evaluation."""
    return build.node("RandomRelu", value, domain=OWN, lower=layer.lower, upper=layer.upper)


@lowering("gelu")
def gelu(layer: Gelu, build: Builder, value: str, shape: Shape) -> str:
    """Gelu."""
    return build.node("Gelu", value, approximate=layer.approximate)


@lowering("softplus")
def softplus(layer: Softplus, build: Builder, value: str, shape: Shape) -> str:
    """Softplus, with beta in front and behind where it is not 1."""
    if layer.beta == 1:
        return build.node("Softplus", value)
    beta = _number(build, "beta", layer.beta)
    return build.node("Div", build.node("Softplus", build.node("Mul", value, beta, role="times"), role="plus"), beta)


@lowering("squareplus")
def squareplus(layer: Squareplus, build: Builder, value: str, shape: Shape) -> str:
    """(x + √(x² + b)) / 2."""
    raised = build.node("Add", build.node("Mul", value, value, role="square"), _number(build, "b", layer.b), role="sum")
    twice = build.node("Add", value, build.node("Sqrt", raised, role="root"), role="twice")
    return build.node("Mul", twice, _number(build, "half", 0.5))


@lowering("soft_shrink", "hard_shrink")
def shrink(layer: Shrink, build: Builder, value: str, shape: Shape) -> str:
    """Shrink, which moves what is left by `bias`."""
    bias = layer.threshold if layer.kind == "soft_shrink" else 0.0
    return build.node("Shrink", value, bias=bias, lambd=layer.threshold)


@lowering("threshold")
def threshold(layer: Threshold, build: Builder, value: str, shape: Shape) -> str:
    """ThresholdedRelu, or a choice where what is below becomes another number than 0."""
    if layer.value == 0:
        return build.node("ThresholdedRelu", value, alpha=layer.threshold)
    above = build.node("Greater", value, _number(build, "threshold", layer.threshold), role="above")
    return build.node("Where", above, value, _number(build, "value", layer.value))


@lowering("prelu")
def prelu(layer: Prelu, build: Builder, value: str, shape: Shape) -> str:
    """PRelu."""
    return build.node("PRelu", value, build.parameter("alpha", Constant(layer.sizes(shape), layer.alpha)))


def _number(build: Builder, role: str, value: float) -> str:
    return build.constant(role, torch.tensor(float(value)))
