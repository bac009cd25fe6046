"""Keras's layers of several tensors."""

import json
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from service.contract.problem import Invalid
from service.descriptions import parse
from tests.keras.real import same


def over(layer: keras.Layer, *shapes: tuple[int, ...]) -> keras.Model:
    """Return a model of this layer behind dense layers, whose weights show gradients."""
    given = [keras.Input(shape) for shape in shapes]
    dense = [
        layers.Dense(shape[-1], kernel_initializer="random_normal", bias_initializer="random_normal")(each)
        for shape, each in zip(shapes, given, strict=True)
    ]
    return keras.Model(given, layer(dense))


MERGES = [layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum]


@pytest.mark.parametrize("kind", MERGES, ids=lambda kind: kind.__name__)
def test_merges_of_many_tensors_are_kerass(kind: type[keras.Layer]) -> None:
    same(over(kind(), (4, 6), (4, 6), (4, 6)))
    same(over(kind(), (4, 6), (1, 6)))
    same(over(kind(), (5, 4, 6), (4, 6), (6,)))


def test_differences_are_kerass() -> None:
    same(over(layers.Subtract(), (4, 6), (4, 6)))
    same(over(layers.Subtract(), (6,), (4, 6)))


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (layers.Concatenate(), ((4, 6), (4, 3), (4, 1))),
        (layers.Concatenate(axis=1), ((4, 6), (2, 6))),
        (layers.Concatenate(axis=-2), ((3, 4, 6), (3, 2, 6))),
        (layers.Dot(axes=1), ((6,), (6,))),
        (layers.Dot(axes=1, normalize=True), ((6,), (6,))),
        (layers.Dot(axes=2), ((4, 6), (3, 6))),
        (layers.Dot(axes=(2, 1)), ((4, 6), (6, 3))),
        (layers.Dot(axes=-1, normalize=True), ((4, 6), (3, 6))),
        (layers.Dot(axes=(1, 2)), ((4, 6), (5, 4))),
        (layers.Dot(axes=(1, 1)), ((6,), (6, 3))),
        (layers.Dot(axes=(2, 1)), ((4, 6), (6,))),
        (layers.Dot(axes=(3, 1)), ((2, 4, 6), (6, 3))),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_concatenations_and_products_are_kerass(layer: keras.Layer, shapes: tuple[tuple[int, ...], ...]) -> None:
    same(over(layer, *shapes))


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
def test_masks_are_joined_as_kerass() -> None:
    """A step of a sum counts where it counts in one of the two; a recurrent layer shows it."""
    tokens, other = keras.Input((5,), dtype="int64", name="one"), keras.Input((5,), dtype="int64", name="other")
    table = layers.Embedding(7, 6, mask_zero=True)
    first, second = table(tokens), table(other)
    batch = {"one": np.array([[1, 2, 0, 0, 0], [3, 0, 0, 0, 0]]), "other": np.array([[1, 2, 3, 0, 0], [0, 0, 0, 0, 0]])}
    for joined in (
        layers.Add()([first, second]),
        layers.Concatenate()([first, second]),
        layers.Concatenate(axis=1)([first, second]),
        layers.Concatenate(axis=1)([first, layers.Reshape((5, 6))(second)]),
    ):
        same(keras.Model([tokens, other], layers.LSTM(4)(joined)), batch)


@pytest.mark.parametrize(
    ("layer", "shapes", "config", "at"),
    [
        (layers.Add(), ((4, 6), (4, 6)), {}, None),
        (layers.Concatenate(), ((4, 6), (4, 6)), {"axis": 0}, "/config/layers/4/config/axis"),
        (layers.Concatenate(), ((4, 6), (3, 6)), {"axis": 2}, "/config/layers/4/inbound_nodes"),
        (layers.Dot(axes=2), ((4, 6), (3, 6)), {"axes": 1}, "/config/layers/4/config/axes"),
        (layers.Dot(axes=2), ((4, 6), (3, 6)), {"axes": [2, 2, 2]}, "/config/layers/4/config/axes"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    layer: keras.Layer, shapes: tuple[tuple[int, ...], ...], config: dict[str, Any], at: str | None
) -> None:
    first = layers.Concatenate(axis=1) if layer.name.startswith("concatenate") else layer
    document = json.loads(over(first, *shapes).to_json())
    document["config"]["layers"][4]["config"] |= config
    if at is None:
        document["config"]["layers"][1]["config"]["batch_shape"] = [None, 3, 6]
        at = "/config/layers/4/inbound_nodes"
    with pytest.raises(Invalid) as caught:
        parse(json.dumps(document).encode())
    assert caught.value.pointer == at
