"""Every weight of a Keras layer is distributed as Keras distributes it, in our layout."""

import keras
import pytest
from keras import layers
from scipy import stats

from tests.keras.real import described, laid, variable
from worker.load.keras_model import lower

MODELS = {
    "dense": [layers.Input((200,)), layers.Dense(300)],
    "conv": [layers.Input((9, 9, 16)), layers.Conv2D(48, 3), layers.Conv2DTranspose(32, 3)],
    "depthwise": [layers.Input((9, 9, 300)), layers.DepthwiseConv2D(5, depth_multiplier=2)],
    "separable": [layers.Input((9, 9, 300)), layers.SeparableConv2D(64, 5)],
    "embedding": [layers.Input((5,), dtype="int64"), layers.Embedding(300, 40)],
    "lstm": [layers.Input((5, 90)), layers.LSTM(70)],
    "gru": [layers.Input((5, 90)), layers.Bidirectional(layers.GRU(70))],
    "rnn": [layers.Input((5, 90)), layers.SimpleRNN(120)],
    "norm": [layers.Input((90,)), layers.BatchNormalization(), layers.LayerNormalization()],
    "named": [
        layers.Input((9, 9, 16)),
        layers.Conv2D(48, 3, kernel_initializer="he_normal", bias_initializer=keras.initializers.RandomNormal(1, 2)),
        layers.Conv2D(96, 3, kernel_initializer="orthogonal"),
    ],
}


def attending() -> keras.Model:
    """Return a network of one attention; the kernels that Keras counts fans of have three axes."""
    given = keras.Input((5, 64))
    return keras.Model(given, layers.MultiHeadAttention(4, 24)(given, given))


@pytest.mark.parametrize("name", [*MODELS, "attention"])
def test_a_layers_weights_are_distributed_as_kerass(name: str) -> None:
    """Kolmogorov's and Smirnov's test of two samples; constants are compared number by number."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(MODELS[name]) if name in MODELS else attending()
    graph = lower(described(model), seed=0)
    assert graph.parameters
    for key, parameter in graph.parameters.items():
        theirs = laid(parameter.law, variable(model, key, {}).value.detach().clone())
        assert parameter.value.shape == theirs.shape
        here, there = parameter.value.double().flatten().numpy(), theirs.double().flatten().numpy()
        if len(set(there.tolist())) <= 2:
            assert here.tolist() == there.tolist(), key
        else:
            assert stats.ks_2samp(here, there).pvalue > 1e-3, key
