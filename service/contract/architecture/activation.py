"""Activations: functions of each number on its own, or (softmax) along the axis of features."""

from typing import Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import Finite, LayerBase, Shape, channels


class Activation(LayerBase):
    """An activation without numbers of its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "relu"}, {"kind": "tanh"}]})

    kind: Literal[
        "relu", "relu6", "selu", "silu", "mish", "tanh", "sigmoid", "hard_sigmoid", "hard_swish", "softplus", "softsign"
    ]


class LeakyRelu(LayerBase):
    """x where x is positive, alpha x elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "leaky_relu", "alpha": 0.2}]})

    kind: Literal["leaky_relu"]
    alpha: Finite = 0.01


class Elu(LayerBase):
    """x where x is positive, alpha (exp x - 1) elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "elu"}]})

    kind: Literal["elu"]
    alpha: Finite = 1.0


class Gelu(LayerBase):
    """x Φ(x), Φ the normal law's distribution function; or its approximation through tanh."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "gelu", "approximate": "tanh"}]})

    kind: Literal["gelu"]
    approximate: Literal["none", "tanh"] = "none"


class Prelu(LayerBase):
    """x where x is positive, a x elsewhere, with one learned `a` per channel."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "prelu"}]})

    kind: Literal["prelu"]
    alpha: Finite = Field(default=0.25)
    """Where every `a` starts."""

    def weights(self, shape: Shape) -> int:
        """Return one per channel."""
        return channels(shape)


class Softmax(LayerBase):
    """exp x over its sum along the features (channels of an image), or the logarithm of that."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "softmax"}, {"kind": "log_softmax"}]})

    kind: Literal["softmax", "log_softmax"]


Activations: TypeAlias = Activation | LeakyRelu | Elu | Gelu | Prelu | Softmax
