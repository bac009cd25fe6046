"""A layer's config in the file to a `KerasLayer`; what is unknown or a program of its own is refused by name."""

import json
from collections.abc import Callable
from typing import Any, Final

from pydantic import ValidationError

from service.contract.complaint import place, said
from service.contract.problem import Invalid, UnsupportedModel
from service.contract.traps import step
from service.keras.activations import activation
from service.keras.base import KerasLayer, Reading
from service.keras.guessing import meant
from service.keras.initializers import law
from service.keras.layers import layers
from service.keras.regularizers import regularizer

HARMLESS: Final = frozenset({
    "activity_regularizer", "autocast", "batch_input_shape", "batch_shape", "build_config", "dtype", "dynamic",
    "input_dtype", "input_length", "input_shape", "lora_alpha", "lora_rank", "quantization_config", "ragged", "seed",
    "sparse", "time_major", "use_cudnn_on_gpu",
})  # fmt: skip
"""Fields of any layer that change nothing of what is examined, or are read elsewhere."""
PROGRAMS: Final = {
    "Lambda": "it holds Python code, which is never run here; write it with Keras's own layers, or export the model to "
    "ONNX",
    "TFOpLambda": "it holds a TensorFlow function; write it with Keras's own layers, or export the model to ONNX",
    "SlicingOpLambda": "it holds a TensorFlow function; write it with Keras's own layers, or export the model to ONNX",
    "TorchModuleWrapper": "it holds a PyTorch module; export the model to ONNX",
    "TFSMLayer": "it holds a TensorFlow program; export the model to ONNX",
    "JaxLayer": "it holds a JAX function; export the model to ONNX",
    "FlaxLayer": "it holds a Flax module; export the model to ONNX",
    "Discretization": "it turns numbers into places in steps; feed the places, as tokens",
    "HashedCrossing": "it hashes; feed the hashes, as tokens",
    "Hashing": "it hashes; feed the hashes, as tokens",
    "IntegerLookup": "its vocabulary is looked up before a model; feed what it gives, as tokens",
    "StringLookup": "it reads text; feed what it gives, as tokens",
    "TextVectorization": "it reads text; feed what it gives, as tokens",
    "CategoryEncoding": "it encodes tokens before a model; feed what it gives, as numbers",
    "MelSpectrogram": "it turns sound into images before a model; feed what it gives",
    "STFTSpectrogram": "it turns sound into images before a model; feed what it gives",
    "AutoContrast": "it changes images before a model; feed what it gives",
    "ContrastLimitedAdaptiveHistogramEqualization": "it changes images before a model; feed what it gives",
    "Equalization": "it changes images before a model; feed what it gives",
    "MaxNumBoundingBoxes": "it changes boxes before a model; feed what it gives",
    "Pipeline": "it prepares data before a model; put its layers into the model, or feed what it gives",
    "Solarization": "it changes images before a model; feed what it gives",
    "RandomCrop": "it crops at random in training and resizes in evaluation; use CenterCrop or Resizing",
    "SpectralNormalization": "it rewrites its kernel at each step of training; examine the layer inside it, without it",
}
"""Layers that hold a program, or prepare data, with what to do instead."""


def made(spec: Any, at: str, read: Callable[[Any, str], KerasLayer]) -> KerasLayer:  # noqa: ANN401  what the file holds
    """Return the layer that `spec` (a class name and its config) describes; `read` reads those inside it.

    UnsupportedModel for a class that is not examined, Invalid (with a JSON pointer) for a config that breaks its form.
    """
    name, config = named(spec, at)
    kind = layers.get(registered(spec))
    if kind is None:
        raise unsupported(spec, at)
    _known(kind, name, config, f"{at}/config")
    try:
        layer = kind.model_validate_json(
            json.dumps({"name": name, **config, "kind": registered(spec)}), strict=True, context=Reading(at, read)
        )
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        detail = f"{name}: {said(details)}"
        raise Invalid(detail, pointer=f"{at}/config{place(details, config)}") from None
    _specs(layer, f"{at}/config")
    return layer


def named(spec: Any, at: str) -> tuple[str, dict[str, Any]]:  # noqa: ANN401  what the file holds
    """Return the class name and the config of a layer; Invalid where it has none."""
    if not isinstance(spec, dict) or not isinstance(spec.get("class_name"), str):
        detail = "A layer is an object with a `class_name` and a `config`."
        raise Invalid(detail, pointer=at)
    config = spec.get("config")
    if not isinstance(config, dict):
        detail = f"The config of {spec['class_name']:.80} is not an object."
        raise Invalid(detail, pointer=f"{at}/config")
    return spec["class_name"], config


def registered(spec: dict[str, Any]) -> str:
    """Return the key of a layer's class: `Dense`, or `ops.Add` for a function of keras.ops."""
    module, name = str(spec.get("module") or "keras.layers"), str(spec["class_name"])
    if custom(spec):
        return ""
    return f"ops.{name}" if ".ops." in f"{module}." else name


def custom(spec: dict[str, Any]) -> bool:
    """Whether a class is the caller's own."""
    module, known = spec.get("module"), spec.get("registered_name")
    foreign = isinstance(module, str) and module.partition(".")[0] not in {"keras", "tf_keras", "tensorflow"}
    return foreign or (isinstance(known, str) and ">" in known and not known.startswith("keras"))


def unsupported(spec: dict[str, Any], at: str) -> UnsupportedModel:
    """Return the refusal of a class that is not examined."""
    name = f"{spec['class_name']:.80}"
    if name in PROGRAMS:
        detail = f"The layer {name} is refused: {PROGRAMS[name]}."
    elif custom(spec):
        detail = f"The class {spec.get('registered_name') or name!s:.80} is not Keras's own; export the model to ONNX."
    else:
        detail = f"The class {name} of {spec.get('module') or 'Keras'!s:.80} is not examined"
        detail += meant(name, layers, "; export the model to ONNX")
    return UnsupportedModel(detail, pointer=f"{at}/class_name")


def _known(kind: type[KerasLayer], name: str, config: dict[str, Any], at: str) -> None:
    """Pass a config whose fields are all known, or say nothing."""
    for key, value in config.items():
        if key in kind.model_fields or key in HARMLESS or key in kind.ignored or key.endswith("_constraint"):
            continue
        if value not in (None, False, [], {}, ""):
            detail = f"The field {key!r:.80} of {name}, {value!r:.80}, is not known here"
            detail += meant(key, kind.model_fields)
            raise UnsupportedModel(detail, pointer=f"{at}{step(key)}")


def _specs(layer: KerasLayer, at: str) -> None:
    """Pass initializers, regularizers and activations that can be had."""
    for key in type(layer).model_fields:
        value, where = getattr(layer, key), f"{at}/{key}"
        if key.endswith("_initializer") and value is not None:
            law(value, where)
        elif key.endswith("_regularizer"):
            regularizer(value, where)
        elif key in {"activation", "recurrent_activation"}:
            activation(value, where)
