"""Initializers by name, or as an object with numbers of their own, as laws.

Keras 3's `keras.initializers` and tf.keras 2's; seeds are left out, as every weight here has a stream of its own.
Numbers and names that Keras refuses, or that are no numbers, are refused where they stand.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from service.contract.architecture.laws import (
    ZEROS,
    Along,
    AnyLaw,
    Constant,
    Identity,
    Mode,
    Normal,
    Orthogonal,
    Plain,
    Uniform,
    VarianceScaling,
)
from service.contract.problem import Invalid, UnsupportedModel
from service.keras.guessing import meant

LARGEST: Final = 1e6
"""Largest size of a number in a config."""
_HOMES: Final = {"keras", "tf_keras", "tensorflow"}
_HARMLESS: Final = {"seed", "dtype", "name"}
_ALIASES: Final = {"zero": "zeros", "one": "ones", "normal": "random_normal", "uniform": "random_uniform"}
_AXES: Final = ("input_axes", "output_axes")

Form: TypeAlias = Literal["normal", "truncated_normal", "uniform"]
_FORMS: Final[dict[str, Form]] = {
    "normal": "truncated_normal",
    "truncated_normal": "truncated_normal",
    "untruncated_normal": "normal",
    "uniform": "uniform",
}
"""Keras's words for a distribution; its "normal" is truncated."""


@dataclass(frozen=True)
class Config:
    """An initializer's config, and where it stands in the file."""

    values: dict[str, Any]
    at: str

    def number(self, key: str, default: float) -> float:
        """Return a number; Invalid where it is none, or too large."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise self.refused(key, f"a number within ±{LARGEST:g}")
        return float(value)

    def positive(self, key: str, default: float, *, zero: bool = False) -> float:
        """Return a number above zero, or from zero on; Invalid where it is none."""
        value = self.number(key, default)
        if value < 0 or (value == 0 and not zero):
            raise self.refused(key, "a number from 0 on" if zero else "a number above 0")
        return value

    def word(self, key: str, default: str, words: tuple[str, ...]) -> str:
        """Return one of these words; Invalid where it is another."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or value.lower() not in words:
            raise self.refused(key, f"one of {', '.join(words)}")
        return value.lower()

    def axes(self, key: str) -> tuple[int, ...] | None:
        """Return axes; None where none are named, Invalid where they are no whole numbers."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or any(type(axis) is not int for axis in value):
            raise self.refused(key, "a list of axes")
        return tuple(value)

    def refused(self, key: str, wanted: str) -> Invalid:
        """Return the problem of a value that is not what is wanted."""
        detail = f"{key} is {self.values.get(key)!r:.80}; {wanted} is expected."
        return Invalid(detail, pointer=f"{self.at}/{key}")


def law(spec: Any, at: str) -> AnyLaw:  # noqa: ANN401  what the file holds
    """Return the law that `spec` (a name, an object, or None for Keras's own choice) names.

    UnsupportedModel for what is not Keras's own, Invalid, pointing at `at` or below it, for what breaks its form.
    """
    if spec is None:
        spec = "glorot_uniform"
    name, config = _parts(spec, at)
    kind = _KINDS.get(name)
    if kind is None:
        reason = _REASONS.get(name, "not one of Keras's own")
        detail = f"The initializer {_shown(spec)} is {reason}{meant(name, _KINDS, '; export the model to ONNX')}"
        raise UnsupportedModel(detail, pointer=at)
    _known(config, kind.numbers, _shown(spec))
    return kind.law(config)


def _parts(spec: Any, at: str) -> tuple[str, Config]:  # noqa: ANN401  what the file holds
    """Return Keras's name in snake case, "" for one that is not Keras's, and the config."""
    if isinstance(spec, str):
        return _snake(spec), Config({}, at)
    if not isinstance(spec, dict) or not isinstance(spec.get("class_name"), str):
        detail = f"An initializer is a name or an object with a `class_name` and a `config`; it is {spec!r:.80}."
        raise Invalid(detail, pointer=at)
    config = spec.get("config")
    if isinstance(config, str) or _foreign(spec):
        return "", Config({}, at)
    if config is not None and not isinstance(config, dict):
        detail = f"The config of {spec['class_name']:.80} is not an object; it is {config!r:.80}."
        raise Invalid(detail, pointer=f"{at}/config")
    return _snake(spec["class_name"]), Config(config or {}, f"{at}/config")


def _foreign(spec: dict[str, Any]) -> bool:
    """Whether the class is the caller's own."""
    module, name = spec.get("module"), spec.get("registered_name")
    home = not isinstance(module, str) or module.partition(".")[0] in _HOMES
    package, found, _ = name.partition(">") if isinstance(name, str) else ("", "", "")
    return not home or (bool(found) and package.lower() not in _HOMES)


def _snake(name: str) -> str:
    """Return `GlorotUniform`, `GlorotUniformV2`, `glorot_uniform` as glorot_uniform."""
    bare = name.removesuffix("V2").removesuffix("Initializer") if name[:1].isupper() else name
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", bare).lower()
    return _ALIASES.get(snake, snake)


def _shown(spec: Any) -> str:  # noqa: ANN401  what the file holds
    if isinstance(spec, str):
        return f"{spec!r:.80}"
    config = spec.get("config")
    name = config if isinstance(config, str) else spec.get("registered_name") or spec["class_name"]
    return f"{name!r:.80}"


def _known(config: Config, numbers: tuple[str, ...], name: str) -> None:
    for key, value in config.values.items():
        if key not in _HARMLESS and key not in numbers and value is not None:
            detail = f"The field {key!r:.80} of {name} is not known here; it is {value!r:.80}."
            raise UnsupportedModel(detail, pointer=f"{config.at}/{key}")


@dataclass(frozen=True)
class Kind:
    """One of Keras's initializers: the fields of its config, and what they make."""

    law: Callable[[Config], AnyLaw]
    numbers: tuple[str, ...] = ()


def _fanned(scale: float, mode: Mode, form: Form) -> Kind:
    return Kind(lambda config: _along(config, scale, mode, form), _AXES)


def _along(config: Config, scale: float, mode: Mode, form: Form) -> AnyLaw:
    into, out = config.axes("input_axes"), config.axes("output_axes")
    general = {"law": "variance_scaling", "scale": scale, "mode": mode, "distribution": form}
    if into is None or out is None:
        return VarianceScaling.model_validate(general)
    return Along.model_validate({**general, "input_axes": into, "output_axes": out})


def _variance_scaling(config: Config) -> AnyLaw:
    mode = config.word("mode", "fan_in", get_args(Mode))
    form = _FORMS[config.word("distribution", "truncated_normal", tuple(_FORMS))]
    return _along(config, config.positive("scale", 1.0), mode, form)  # type: ignore[arg-type]


def _normal(name: Literal["normal", "truncated_normal"]) -> Kind:
    def law(config: Config) -> AnyLaw:
        mean, std = config.number("mean", 0.0), config.positive("stddev", 0.05, zero=True)
        return Normal(law=name, mean=mean, std=std) if std else Constant(law="constant", value=mean)

    return Kind(law, ("mean", "stddev"))


def _uniform(config: Config) -> AnyLaw:
    low, high = sorted((config.number("minval", -0.05), config.number("maxval", 0.05)))
    return Uniform(law="uniform", low=low, high=high) if low < high else Constant(law="constant", value=low)


def _orthogonal(config: Config) -> AnyLaw:
    gain = abs(config.number("gain", 1.0))  # the law of Q is that of −Q
    return Orthogonal(law="orthogonal", gain=gain) if gain else ZEROS


_KINDS: Final = {
    "zeros": Kind(lambda _: ZEROS),
    "ones": Kind(lambda _: Plain(law="ones")),
    "constant": Kind(lambda config: Constant(law="constant", value=config.number("value", 0.0)), ("value",)),
    "identity": Kind(lambda config: Identity(law="identity", gain=config.number("gain", 1.0)), ("gain",)),
    "random_normal": _normal("normal"),
    "truncated_normal": _normal("truncated_normal"),
    "random_uniform": Kind(_uniform, ("minval", "maxval")),
    "variance_scaling": Kind(_variance_scaling, ("scale", "mode", "distribution", *_AXES)),
    "glorot_normal": _fanned(1, "fan_avg", "truncated_normal"),
    "glorot_uniform": _fanned(1, "fan_avg", "uniform"),
    "he_normal": _fanned(2, "fan_in", "truncated_normal"),
    "he_uniform": _fanned(2, "fan_in", "uniform"),
    "lecun_normal": _fanned(1, "fan_in", "truncated_normal"),
    "lecun_uniform": _fanned(1, "fan_in", "uniform"),
    "orthogonal": Kind(_orthogonal, ("gain",)),
}
_REASONS: Final = {"stft": "a table of sines and not examined"}
