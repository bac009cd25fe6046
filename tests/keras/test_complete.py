"""Every layer that Keras has is read, or refused with a reason."""

import inspect

import keras
import pytest

from service.keras.activations import ALIASES, FUNCTIONS
from service.keras.initializers import law
from service.keras.layers import layers
from service.keras.making import PROGRAMS

BASES = {"Layer", "Wrapper", "InputLayer"}
"""What is no layer of a file, and the input, which is read by itself."""
TAKES_ARGUMENTS = {"threshold"}
"""What no name alone can ask for."""


def classes(module: object, base: type) -> list[str]:
    """Return the names under which a file would know the classes that a module exports."""
    found = {each.__name__ for _, each in inspect.getmembers(module, inspect.isclass) if issubclass(each, base)}
    return sorted(found - {base.__name__})


@pytest.mark.parametrize("name", classes(keras.layers, keras.layers.Layer))
def test_a_layer_is_read_or_refused_with_a_reason(name: str) -> None:
    assert (name in layers) != (name in PROGRAMS) or name in BASES


def test_every_activation_goes_by_its_name() -> None:
    functions = {name for name, _ in inspect.getmembers(keras.activations, inspect.isfunction)}
    missing = functions - FUNCTIONS.keys() - ALIASES.keys() - TAKES_ARGUMENTS
    assert missing == {"deserialize", "get", "serialize"}


@pytest.mark.parametrize("name", sorted(set(classes(keras.initializers, keras.initializers.Initializer)) - {"STFT"}))
def test_every_initializer_goes_by_its_class(name: str) -> None:
    config = {"value": 1.0} if name == "Constant" else {}
    assert law({"class_name": name, "config": config}, "").law
