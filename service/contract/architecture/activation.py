"""Activations: functions of each number on its own."""

from math import prod
from typing import Literal, TypeAlias

from pydantic import ConfigDict, model_validator

from service.contract.architecture.base import IMAGE, Finite, LayerBase, Shape
from service.contract.architecture.laws import Positive
from service.contract.architecture.softmax import Softmaxes


class Activation(LayerBase):
    """An activation without numbers of its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "relu"}, {"kind": "tanh"}]})

    kind: Literal[
        "relu",
        "relu6",
        "selu",
        "silu",
        "mish",
        "tanh",
        "sigmoid",
        "log_sigmoid",
        "hard_sigmoid",
        "hard_swish",
        "softsign",
        "tanh_shrink",
        "exponential",
        "sparse_plus",
        "sparse_sigmoid",
    ]


class LeakyRelu(LayerBase):
    """x where x is positive, alpha x elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "leaky_relu", "alpha": 0.2}]})

    kind: Literal["leaky_relu"]
    alpha: Finite = 0.01


class RandomRelu(LayerBase):
    """x where x is positive, a x elsewhere; in training each `a` is drawn anew, in evaluation it is the middle."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "rrelu"}]})

    kind: Literal["rrelu"]
    lower: Finite = 1 / 8
    upper: Finite = 1 / 3

    @model_validator(mode="after")
    def _ordered(self) -> "RandomRelu":
        if self.lower > self.upper:
            msg = f"lower is {self.lower} and upper is {self.upper}; lower must not be the larger"
            raise ValueError(msg)
        return self


class Elu(LayerBase):
    """x where x is positive, alpha (exp x - 1) elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "elu"}]})

    kind: Literal["elu"]
    alpha: Finite = 1.0


class Celu(LayerBase):
    """x where x is positive, alpha (exp(x / alpha) - 1) elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "celu", "alpha": 0.5}]})

    kind: Literal["celu"]
    alpha: Positive = 1.0


class Gelu(LayerBase):
    """x Φ(x), Φ the normal law's distribution function; or its approximation through tanh."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "gelu", "approximate": "tanh"}]})

    kind: Literal["gelu"]
    approximate: Literal["none", "tanh"] = "none"


class Softplus(LayerBase):
    """ln(1 + exp(beta x)) / beta."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "softplus", "beta": 2}]})

    kind: Literal["softplus"]
    beta: Positive = 1.0


class Squareplus(LayerBase):
    """(x + √(x² + b)) / 2."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "squareplus"}]})

    kind: Literal["squareplus"]
    b: Positive = 4.0


class HardTanh(LayerBase):
    """x between two bounds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "hard_tanh"}]})

    kind: Literal["hard_tanh"]
    low: Finite = -1.0
    high: Finite = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> "HardTanh":
        if self.low >= self.high:
            msg = f"low is {self.low} and high is {self.high}; low must be the smaller"
            raise ValueError(msg)
        return self


class Shrink(LayerBase):
    """0 where |x| is at most `threshold`; x elsewhere, or, for `soft_shrink`, x moved towards 0 by it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "soft_shrink"}, {"kind": "hard_shrink", "threshold": 0.2}]}
    )

    kind: Literal["soft_shrink", "hard_shrink"]
    threshold: Positive = 0.5


class Threshold(LayerBase):
    """x where it is above `threshold`, `value` elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "threshold", "threshold": 0.5, "value": 0.25}]})

    kind: Literal["threshold"]
    threshold: Finite
    value: Finite = 0.0


class Prelu(LayerBase):
    """x where x is positive, a x elsewhere, with learned `a`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "prelu"}]})

    kind: Literal["prelu"]
    alpha: Finite = 0.25
    """Where every `a` starts."""
    slopes: Literal["one", "channel", "element"] = "channel"
    """Whether there is one `a` in all, one per channel, or one per number of a sample."""

    def sizes(self, shape: Shape) -> Shape:
        """Return the shape of `a`, by which a sample is multiplied."""
        if self.slopes == "element":
            return shape
        if self.slopes == "one":
            return (1,)
        return (shape[0], *(1 for _ in shape[1:])) if len(shape) >= IMAGE else shape[-1:]

    def weights(self, shape: Shape) -> int:
        """Return how many `a` there are."""
        return prod(self.sizes(shape))


Activations: TypeAlias = (
    Activation
    | LeakyRelu
    | RandomRelu
    | Elu
    | Celu
    | Gelu
    | Softplus
    | Squareplus
    | HardTanh
    | Shrink
    | Threshold
    | Prelu
    | Softmaxes
)
