"""Models as Keras joins them: chains, branches, layers called twice, models within models."""

import keras
from keras import layers

from tests.keras.real import same


def test_a_chain_of_dense_layers_is_kerass() -> None:
    chain = [layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Activation("tanh"), layers.Dense(2)]
    same(keras.Sequential(chain))


def test_a_layer_that_is_called_twice_has_one_weight() -> None:
    given = keras.Input((8,))
    layer = layers.Dense(8, activation="softmax")
    graph = same(keras.Model(given, layer(layer(given))))
    assert len(graph.parameters) == 2


def test_a_model_within_a_model_is_called_twice() -> None:
    given = keras.Input((8,))
    inner = keras.Sequential([layers.Dense(8, name="d"), layers.Activation("relu")], name="inner")
    graph = same(keras.Model(given, [inner(inner(given)), inner(given)]))
    assert list(graph.parameters) == ["inner/d.kernel", "inner/d.bias"]
    origins = {node.origin for node in graph.nodes}
    assert 'config/layers/1/config/layers/1 "d" (Dense)' in origins
