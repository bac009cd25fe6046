"""Keras's activations, as functions, as objects and as layers."""

from typing import Any

import keras
import pytest
from keras import layers

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.activations import ALIASES, FUNCTIONS, activation
from tests.keras.real import same

NAMES = sorted({*FUNCTIONS, "swish", "hard_swish"})


def over(layer: keras.Layer, shape: tuple[int, ...] = (4, 6)) -> keras.Model:
    """Return a model of a dense layer, whose weights show gradients, and this layer."""
    return keras.Sequential([layers.Input(shape), layers.Dense(6, kernel_initializer="random_normal"), layer])


def test_every_function_of_keras_is_known() -> None:
    """But `threshold`, which has two numbers without a default, and so never is an activation by name."""
    functions = {name for name in dir(keras.activations) if name not in {"get", "serialize", "deserialize"}}
    public = {name for name in functions if not name.startswith("_")}
    assert public == {*FUNCTIONS, *ALIASES, "threshold"} - {"exp"}


@pytest.mark.parametrize("name", NAMES)
def test_activations_by_name_are_kerass(name: str) -> None:
    same(over(layers.Activation(name)))
    same(keras.Sequential([layers.Input((4,)), layers.Dense(6, activation=name, kernel_initializer="he_normal")]))


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(),
        layers.ReLU(max_value=0.5),
        layers.ReLU(max_value=6),
        layers.ReLU(negative_slope=0.3),
        layers.ReLU(threshold=0.2),
        layers.ReLU(max_value=0.7, threshold=0.2),
        layers.ReLU(max_value=0.7, negative_slope=0.3),
        layers.ReLU(max_value=0.7, negative_slope=0.3, threshold=0.2),
        layers.LeakyReLU(),
        layers.LeakyReLU(0.1),
        layers.ELU(),
        layers.ELU(0.5),
        layers.PReLU(),
        layers.PReLU(alpha_initializer="random_normal", alpha_regularizer="l2"),
        layers.PReLU(alpha_initializer="he_normal", shared_axes=[1]),
        layers.Softmax(),
        layers.Softmax(axis=1),
        layers.Softmax(axis=[1, 2]),
        layers.Activation(keras.layers.LeakyReLU(0.15)),
        layers.Activation(keras.layers.ReLU(max_value=0.4)),
        layers.Activation(keras.layers.Softmax(axis=1)),
        layers.Dense(3, activation=keras.layers.ELU(0.2)),
        layers.Dense(3, activation=keras.activations.silu),
    ],
    ids=lambda layer: layer.name,
)
def test_activation_layers_are_kerass(layer: keras.Layer) -> None:
    same(over(layer), tolerance=2e-5)


def test_a_softmax_with_a_mask_gives_masked_places_no_share() -> None:
    given, mask = keras.Input((4, 6)), keras.Input((4, 6), dtype="bool", name="mask")
    same(keras.Model([given, mask], layers.Softmax()(given, mask=mask)))


@pytest.mark.parametrize(
    ("spec", "kind", "at"),
    [
        ("my_own", UnsupportedModel, "/activation"),
        ({"class_name": "PReLU", "config": {}}, UnsupportedModel, "/activation"),
        ({"module": "mine", "class_name": "ReLU", "config": {}}, UnsupportedModel, "/activation"),
        ({"class_name": "function", "config": "relu", "registered_name": "mine>relu"}, UnsupportedModel, "/activation"),
        ({"class_name": "LeakyReLU", "config": {"alpha": "much"}}, Invalid, "/activation/config/alpha"),
        ({"class_name": "LeakyReLU", "config": {"alpha": None}}, Invalid, "/activation/config/alpha"),
        ({"class_name": "Softmax", "config": {"axis": 1.5}}, Invalid, "/activation/config/axis"),
        ({"class_name": "ELU", "config": {"alpha": 1e300}}, Invalid, "/activation/config/alpha"),
        ({"class_name": "Softmax", "config": {"axis": 1e300}}, Invalid, "/activation/config/axis"),
        ({"class_name": "ReLU", "config": {"beta": 1}}, UnsupportedModel, "/activation/config/beta"),
        (3, Invalid, "/activation"),
        ({"config": 3}, Invalid, "/activation"),
    ],
)  # fmt: skip
def test_what_is_no_activation_is_refused_where_it_stands(spec: Any, kind: type[Exception], at: str) -> None:  # noqa: ANN401  whatever a file may hold
    with pytest.raises(kind) as caught:
        activation(spec, "/activation")
    assert caught.value.pointer == at


def test_an_older_file_calls_a_slope_alpha() -> None:
    spec = {"class_name": "LeakyReLU", "config": {"name": "leaky", "trainable": True, "dtype": "float32", "alpha": 0.2}}
    assert activation(spec, "").numbers == {"negative_slope": 0.2}
