"""Activations."""

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
from worker.load.formulas import put
from worker.load.lowering import lowering
from worker.network.laws import Constant
from worker.network.ops.noise import OWN


@lowering(
    "relu", "relu6", "selu", "silu", "mish", "tanh", "sigmoid", "log_sigmoid", "hard_sigmoid", "softsign",
    "tanh_shrink", "exponential", "sparse_plus", "sparse_sigmoid",
)  # fmt: skip
def activation(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """Put down the formula of the same name."""
    return put(layer.kind, build, value)


@lowering("hard_swish")
def hard_swish(layer: Activation, build: Builder, value: str, shape: Shape) -> str:
    """x times its hard sigmoid."""
    return put("hard_silu", build, value)


@lowering("leaky_relu")
def leaky_relu(layer: LeakyRelu, build: Builder, value: str, shape: Shape) -> str:
    """LeakyRelu."""
    return put("leaky_relu", build, value, negative_slope=layer.alpha)


@lowering("elu", "celu")
def elu(layer: Elu | Celu, build: Builder, value: str, shape: Shape) -> str:
    """Elu or Celu."""
    return put(layer.kind, build, value, alpha=layer.alpha)


@lowering("rrelu")
def random_relu(layer: RandomRelu, build: Builder, value: str, shape: Shape) -> str:
    """An operator of the project's own; LeakyRelu in evaluation."""
    return build.node("RandomRelu", value, domain=OWN, lower=layer.lower, upper=layer.upper)


@lowering("gelu")
def gelu(layer: Gelu, build: Builder, value: str, shape: Shape) -> str:
    """Gelu."""
    return put("gelu", build, value, approximate=layer.approximate == "tanh")


@lowering("softplus")
def softplus(layer: Softplus, build: Builder, value: str, shape: Shape) -> str:
    """Softplus, with beta in front and behind where it is not 1."""
    return put("softplus", build, value, beta=layer.beta)


@lowering("squareplus")
def squareplus(layer: Squareplus, build: Builder, value: str, shape: Shape) -> str:
    """A square root of a square and b."""
    return put("squareplus", build, value, b=layer.b)


@lowering("hard_tanh")
def hard_tanh(layer: HardTanh, build: Builder, value: str, shape: Shape) -> str:
    """Clip."""
    return put("hard_tanh", build, value, low=layer.low, high=layer.high)


@lowering("soft_shrink", "hard_shrink")
def shrink(layer: Shrink, build: Builder, value: str, shape: Shape) -> str:
    """Shrink."""
    return put(layer.kind, build, value, threshold=layer.threshold)


@lowering("threshold")
def threshold(layer: Threshold, build: Builder, value: str, shape: Shape) -> str:
    """ThresholdedRelu, or a choice where what is below becomes another number than 0."""
    return put("threshold", build, value, threshold=layer.threshold, default_value=layer.value)


@lowering("prelu")
def prelu(layer: Prelu, build: Builder, value: str, shape: Shape) -> str:
    """PRelu."""
    return build.node("PRelu", value, build.parameter("alpha", Constant(layer.sizes(shape), layer.alpha)))
