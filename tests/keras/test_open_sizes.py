"""Layers on sizes that only the batch knows."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers, ops

from service.contract.problem import Invalid
from service.descriptions import parse
from tests.keras.real import same

CASES: dict[str, Callable[[Any], Any]] = {
    "batch norm": layers.BatchNormalization(beta_initializer="ones"),
    "layer norm": layers.LayerNormalization(beta_initializer="ones"),
    "group norm": layers.GroupNormalization(2),
    "unit norm over time": layers.UnitNormalization(axis=1),
    "prelu": layers.PReLU("ones", shared_axes=[1]),
    "softmax over time": layers.Softmax(axis=1),
    "sparsemax": layers.Activation("sparsemax"),
    "glu": layers.Activation("glu"),
    "masking": layers.Masking(),
    "dropouts": lambda x: layers.SpatialDropout1D(0.1)(layers.Dropout(0.1, noise_shape=(None, 1, None))(x)),
    "permute": layers.Permute((2, 1)),
    "reshape": layers.Reshape((-1, 3, 2)),
    "add, stretched": lambda x: layers.Add()([x, layers.Dense(6)(ops.mean(x, axis=1, keepdims=True))]),
    "concatenate, time": lambda x: layers.Concatenate(axis=1)([x, layers.Dense(6)(x)]),
    "concatenate, features": lambda x: layers.Concatenate()([x, layers.Dense(2)(x)]),
    "dot": lambda x: layers.Dot(axes=(1, 1))([x, layers.Dense(3)(x)]),
    "attention by hand": lambda x: ops.matmul(ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1)))), x),
    "einsum": lambda x: ops.einsum("bti,bsi->bts", x, x),
    "parts": lambda x: x[:, 1:] - x[:, :-1],
    "last": lambda x: x[:, -1] + ops.max(x, axis=1),
    "mean of what counts": lambda x: ops.sum(x * ops.cast(x > 0, "float32"), axis=1) / 3,
    "flip": lambda x: ops.flip(x, axis=1) + ops.cumsum(x, axis=1),
    "split": lambda x: ops.split(x, [2, 3], axis=-1),
    "unstack": lambda x: ops.unstack(x, 6, axis=-1)[::2],
    "round": lambda x: ops.round(x) + x,
    "take": lambda x: ops.take(x, [5, 0, -2], axis=-1),
    "tile": lambda x: ops.tile(x, (1, 2, 1)),
    "repeat": lambda x: ops.repeat(x, 2, axis=-1),
    "move": lambda x: ops.moveaxis(ops.stack([x, 2 * x], axis=1), 1, -1),
    "constant matrix": lambda x: ops.matmul(x, ops.ones((6, 2))) + ops.dot(x, ops.full((6, 2), 0.5)),
    "matrix before": lambda x: ops.matmul(ops.ones((2, 6)), ops.transpose(x, (0, 2, 1))),
}


@pytest.mark.parametrize("name", CASES)
def test_open_sizes_are_the_batchs(name: str) -> None:
    given = keras.Input((None, 4))
    hidden = layers.Dense(6, kernel_initializer="random_normal", bias_initializer="random_normal")(given)
    same(keras.Model(given, CASES[name](hidden)), tolerance=2e-5)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda x: layers.Dense(3)(layers.Permute((2, 1))(x)), "last axis"),
        (lambda x: layers.BatchNormalization()(layers.Permute((2, 1))(x)), "channels"),
    ],
    ids=["dense", "batch norm"],
)
def test_a_size_that_weights_depend_on_must_be_known(layer: Callable[[Any], Any], said: str) -> None:
    """Keras cannot build such a model either; the file is made from one that it can."""
    given = keras.Input((5, 4))
    document = keras.Model(given, layer(given)).to_json().replace("[null, 5, 4]", "[null, null, 4]")
    with pytest.raises(Invalid, match=said):
        parse(document.encode())
