"""Keras's layers that move numbers about, and tables."""

import json
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from service.contract.problem import Invalid
from service.descriptions import parse
from tests.keras.real import described, same


def over(layer: keras.Layer, shape: tuple[int | None, ...]) -> keras.Model:
    """Return a model of a dense layer, whose weights show gradients, and this layer."""
    return keras.Sequential([layers.Input(shape), layers.Dense(6, kernel_initializer="random_normal"), layer])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Flatten(), (6,)),
        (layers.Flatten(), (4, 6)),
        (layers.Flatten(), (2, 3, 6)),
        (layers.Flatten(data_format="channels_first"), (2, 3, 6)),
        (layers.Reshape((2, 12)), (4, 6)),
        (layers.Reshape((-1, 3)), (4, 6)),
        (layers.Reshape((24,)), (2, 2, 6)),
        (layers.Reshape((2, -1, 1, 3)), (4, 6)),
        (layers.Reshape((-1, 2, 3)), (None, 6)),
        (layers.Permute((2, 1)), (4, 6)),
        (layers.Permute((3, 1, 2)), (2, 4, 6)),
        (layers.RepeatVector(3), (6,)),
        (layers.Identity(), (4, 6)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_reshapes_are_kerass(layer: keras.Layer, shape: tuple[int | None, ...]) -> None:
    same(over(layer, shape))


def test_tables_are_kerass() -> None:
    same(keras.Sequential([layers.Input((5,), dtype="int64"), layers.Embedding(9, 4)]))
    same(keras.Sequential([layers.Input((5, 2), dtype="int32"), layers.Embedding(9, 4, embeddings_regularizer="l2")]))
    given = keras.Input((5,))
    tokens = layers.Reshape((5,))(given)
    batch = {given.name: np.array([[0, 1, 2, 3, 4], [4, 4, 4, 0, 0]], "float32")}
    model = keras.Model(given, layers.Embedding(5, 3)(tokens))
    same(model, {model.inputs[0]._keras_history.operation.name: next(iter(batch.values()))})  # noqa: SLF001  its name


@pytest.mark.parametrize("tied", [True, False])
def test_a_table_that_is_reversed_is_kerass(tied: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    given = keras.Input((5,), dtype="int64")
    table = layers.ReversibleEmbedding(9, 4, tie_weights=tied, embeddings_initializer="random_normal", name="table")
    capped = layers.ReversibleEmbedding(9, 4, logit_soft_cap=0.3, mask_zero=True, name="capped")
    logits = table(layers.Dense(4)(table(given)), reverse=True)
    graph = same(keras.Model(given, [logits, capped(capped(given) + 1.0, reverse=True)]))
    assert len(graph.parameters) == (4 if tied else 5)


def test_a_table_is_drawn_as_keras_draws_it() -> None:
    """Uniform within ±0.05."""
    model = keras.Sequential([layers.Input((5,), dtype="int64"), layers.Embedding(900, 40, name="e")])
    assert described(model).weights() == 36_000
    graph = same(model)
    law = graph.parameters["e.embeddings"].law
    assert str(law) == "uniform from -0.05 to 0.05"


def test_masks_reach_a_recurrent_layer_through_layers_that_pass_them() -> None:
    batch = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32")
    batch[0, 3:] = batch[2, 1:] = 7
    chain = [
        layers.Masking(7.0),
        layers.Dense(6, activation="tanh"),
        layers.LayerNormalization(),
        layers.Dropout(0.5),
        layers.LeakyReLU(),
        layers.Identity(),
        layers.LSTM(3),
    ]
    same(keras.Sequential([layers.Input((5, 4), name="steps"), *chain]), {"steps": batch})


def refused(layer: keras.Layer, shape: tuple[int, ...], config: dict[str, Any]) -> Invalid:
    """Return what a file is refused with in which this layer stands with this config."""
    document = json.loads(over(layer, shape).to_json())
    document["config"]["layers"][-1]["config"] |= config
    with pytest.raises(Invalid) as caught:
        parse(json.dumps(document).encode())
    return caught.value


@pytest.mark.parametrize(
    ("layer", "shape", "config", "field"),
    [
        (layers.Reshape((2, 12)), (4, 6), {"target_shape": [2, 11]}, "target_shape"),
        (layers.Reshape((2, 12)), (4, 6), {"target_shape": [-1, -1]}, "target_shape"),
        (layers.Reshape((2, 12)), (4, 6), {"target_shape": [5, -1]}, "target_shape"),
        (layers.Reshape((2, 12)), (4, 6), {"target_shape": [0, -1]}, "target_shape/0"),
        (layers.Permute((2, 1)), (4, 6), {"dims": [1, 1]}, "dims"),
        (layers.Permute((2, 1)), (4, 6), {"dims": [1]}, "dims"),
        (layers.RepeatVector(3), (6,), {"n": 0}, "n"),
        (layers.Dropout(0.5), (6,), {"rate": 1.5}, "rate"),
        (layers.Dropout(0.5), (4, 6), {"noise_shape": [None, 2, 6]}, "noise_shape"),
        (layers.Dropout(0.5), (4, 6), {"noise_shape": [None, 1]}, "noise_shape"),
    ],
)
def test_reshapes_that_do_not_fit_are_refused_at_the_field(
    layer: keras.Layer, shape: tuple[int, ...], config: dict[str, Any], field: str
) -> None:
    problem = refused(layer, shape, config)
    assert (problem.pointer or "").startswith(f"/config/layers/2/config/{field}".removesuffix("/0"))
