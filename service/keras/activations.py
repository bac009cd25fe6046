"""Activations by name, or as an object with numbers of its own."""

from typing import Any, Final, NamedTuple

from service.contract.problem import Invalid, UnsupportedModel

NAMES: Final = {
    "relu": "relu", "relu6": "relu6", "leaky_relu": "leaky_relu", "elu": "elu", "selu": "selu", "celu": "celu",
    "gelu": "gelu", "silu": "silu", "swish": "silu", "mish": "mish", "tanh": "tanh", "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid", "hard_silu": "hard_silu", "hard_swish": "hard_silu", "hard_tanh": "hard_tanh",
    "softplus": "softplus", "softsign": "softsign", "softmax": "softmax", "log_softmax": "log_softmax",
    "log_sigmoid": "log_sigmoid", "exponential": "exponential", "linear": "linear", "glu": "glu",
    "hard_shrink": "hard_shrink", "soft_shrink": "soft_shrink", "squareplus": "squareplus",
    "sparse_plus": "sparse_plus", "sparse_sigmoid": "sparse_sigmoid", "sparsemax": "sparsemax",
    "tanh_shrink": "tanh_shrink", "threshold": "threshold",
}  # fmt: skip
"""Keras's names, with what they are other names for."""


class Activation(NamedTuple):
    """An activation and the numbers that the file gives it."""

    name: str
    numbers: dict[str, Any] = {}  # noqa: RUF012  never written to


def activation(spec: Any, at: str) -> Activation:  # noqa: ANN401  what the file holds
    """Return the activation that `spec` names; None is linear.  Invalid or UnsupportedModel otherwise."""
    if spec is None:
        return Activation("linear")
    name, numbers = spec, {}
    if isinstance(spec, dict):
        config = spec.get("config")
        name = config if isinstance(config, str) else spec.get("class_name")
        numbers = config if isinstance(config, dict) else {}
    if not isinstance(name, str):
        detail = f"An activation is a name or an object; it is {spec!r:.80}."
        raise Invalid(detail, pointer=at)
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    found = NAMES.get(name) or NAMES.get(snake)
    if found is None:
        detail = f"The activation {name!r:.80} is not Keras's own; export the model to ONNX."
        raise UnsupportedModel(detail, pointer=at)
    return Activation(found, numbers)
