"""Activations by name, or as an object with numbers of its own: a function's, or a layer's that is one."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.guessing import meant

Number: TypeAlias = float | None

FUNCTIONS: Final[Mapping[str, Mapping[str, Number]]] = {
    "celu": {"alpha": 1.0},
    "elu": {"alpha": 1.0},
    "exponential": {},
    "gelu": {"approximate": False},
    "glu": {"axis": -1},
    "hard_shrink": {"threshold": 0.5},
    "hard_sigmoid": {"slope": 1 / 6},
    "hard_silu": {},
    "hard_tanh": {"low": -1.0, "high": 1.0},
    "leaky_relu": {"negative_slope": 0.2},
    "linear": {},
    "log_sigmoid": {},
    "log_softmax": {"axis": -1},
    "mish": {},
    "relu": {"negative_slope": 0.0, "max_value": None, "threshold": 0.0},
    "relu6": {},
    "selu": {},
    "sigmoid": {},
    "silu": {},
    "soft_shrink": {"threshold": 0.5},
    "softmax": {"axis": -1},
    "softplus": {},
    "softsign": {},
    "sparse_plus": {},
    "sparse_sigmoid": {},
    "sparsemax": {"axis": -1},
    "squareplus": {"b": 4.0},
    "tanh": {},
    "tanh_shrink": {},
}
"""Keras's functions, with their numbers and what these are by default."""
ALIASES: Final = {"swish": "silu", "hard_swish": "hard_silu", "exp": "exponential"}
LAYERS: Final[Mapping[str, tuple[str, Mapping[str, Number]]]] = {
    "ELU": ("elu", {}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": 0.3}),
    "ReLU": ("relu", {}),
    "Softmax": ("softmax", {}),
}
"""Layers that are given as an activation, with the function that each is and where their defaults differ."""
_OTHERWISE: Final = {"alpha": "negative_slope"}
"""What tf.keras 2 calls a number of LeakyReLU."""
_OTHER_FIELDS: Final = frozenset({"name", "dtype", "trainable"})
LARGEST: Final = 1e6


class Activation(NamedTuple):
    """An activation and all its numbers."""

    name: str
    numbers: Mapping[str, Any] = {}


def activation(spec: Any, at: str) -> Activation:  # noqa: ANN401  what the file holds
    """Return the activation that `spec` names; None is linear.

    Invalid or UnsupportedModel, pointing at `at` or below it, where it is none that can be had.
    """
    if spec is None:
        return Activation("linear")
    name, config = _named(spec, at)
    if name == "Activation" and "activation" in config:
        return activation(config["activation"], f"{at}/config/activation")
    known, defaults = LAYERS.get(name, (_snake(name), {}))
    if known not in FUNCTIONS or _foreign(spec):
        detail = f"The activation {name!r:.80} is not Keras's own"
        detail += meant(_snake(name), FUNCTIONS, "; export the model to ONNX")
        raise UnsupportedModel(detail, pointer=at)
    numbers = dict(FUNCTIONS[known]) | dict(defaults)
    for key, value in config.items():
        found = key if key in numbers else _OTHERWISE.get(key, key)
        if found in numbers:
            numbers[found] = _number(value, FUNCTIONS[known][found], f"{at}/config/{key}")
        elif key not in _OTHER_FIELDS and value not in (None, False):
            detail = f"The field {key!r:.80} of {name} is not known here; it is {value!r:.80}."
            raise UnsupportedModel(detail, pointer=f"{at}/config/{key}")
    return Activation(known, numbers)


def _named(spec: Any, at: str) -> tuple[str, dict[str, Any]]:  # noqa: ANN401  what the file holds
    """Return the name and the numbers of an activation."""
    if isinstance(spec, str):
        return spec, {}
    name: Any = None
    if isinstance(spec, dict):
        config = spec.get("config")
        name = config if isinstance(config, str) else spec.get("class_name")
        if isinstance(name, str):
            return name, config if isinstance(config, dict) else {}
    detail = f"An activation is a name or an object; it is {spec!r:.80}."
    raise Invalid(detail, pointer=at)


def _foreign(spec: Any) -> bool:  # noqa: ANN401  what the file holds
    """Whether the function or class is the caller's own."""
    if not isinstance(spec, dict):
        return False
    module, known = spec.get("module"), spec.get("registered_name")
    home = not isinstance(module, str) or module.partition(".")[0] in {"builtins", "keras", "tf_keras", "tensorflow"}
    return not home or (isinstance(known, str) and ">" in known and not known.lower().startswith("keras"))


def _snake(name: str) -> str:
    """Return `HardSigmoid`, `hard_sigmoid`, `hard_swish` as the function's own name."""
    bare = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    return ALIASES.get(bare, bare)


def _number(value: Any, default: Number, at: str) -> Number:  # noqa: ANN401  what the file holds
    """Return a number of the default's kind, which None says nothing of."""
    if value is None and default is None:
        return None
    wanted = "a whole number" if isinstance(default, int) else f"a number within ±{LARGEST:g}"
    fitting = isinstance(value, int if isinstance(default, int) else int | float)
    if not fitting or not abs(value) <= LARGEST:
        detail = f"It is {value!r:.80}; {wanted} is expected."
        raise Invalid(detail, pointer=at)
    return float(value) if isinstance(default, float) or default is None else int(value)
