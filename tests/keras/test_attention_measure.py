"""The measure of attention finds every softmax over positions in Keras's models."""

import json
from typing import Any

import keras
import pytest
import torch
from keras import layers, ops

from service.descriptions import parse
from service.keras import Description
from tests.keras.real import drawn
from tests.keras.test_attention_files import document
from tests.probe.subjects import with_target
from worker.load.keras_model import lower
from worker.network.graph import Graph
from worker.network.layers import weight_layers
from worker.probe.attention import measure_attention
from worker.probe.sweep import sweep


def graph_of(text: str) -> Graph:
    """Return the network of a file."""
    found = parse(text.encode())
    assert isinstance(found, Description)
    return lower(found, seed=0)


def measured(graph: Graph) -> dict[str, float]:
    """Return the measure of a network on a batch of its own."""
    inputs = {name: torch.as_tensor(value) for name, value in drawn(graph).items()}
    return {name: each.entropy for name, each in measure_attention(sweep(with_target(graph, inputs))).items()}


@pytest.mark.parametrize(
    "layer",
    [
        layers.MultiHeadAttention(2, 4, name="look"),
        layers.MultiHeadAttention(2, 4, dropout=0.1, name="look"),
        layers.MultiHeadAttention(2, 4, sliding_window=3, name="look"),
        layers.MultiHeadAttention(2, 4, use_gate=True, name="look"),
        layers.GroupQueryAttention(3, 4, 2, name="look"),
        layers.GroupQueryAttention(3, 4, 1, dropout=0.1, name="look"),
        layers.Attention(name="look"),
        layers.Attention(score_mode="concat", dropout=0.2, name="look"),
        layers.AdditiveAttention(name="look"),
    ],
)
@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_found(layer: keras.Layer, causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    layer = type(layer).from_config(layer.get_config())
    text = json.dumps(document(layer, (6, 8), (6, 8), use_causal_mask=causal))
    found = measured(graph_of(text))
    assert list(found) == ["look.softmax"]
    assert 0.1 < found["look.softmax"] <= 1 + 1e-6


@pytest.mark.parametrize("kind", [layers.MultiHeadAttention, layers.GroupQueryAttention])
def test_even_weights_keep_all_entropy(kind: Any) -> None:  # noqa: ANN401  a class of Keras's
    heads = (2, 4) if kind is layers.MultiHeadAttention else (4, 2, 2)
    layer = kind(*heads, kernel_initializer="zeros", name="look")
    text = json.dumps(document(layer, (6, 8), (6, 8), use_causal_mask=True))
    assert measured(graph_of(text)) == {"look.softmax": pytest.approx(1.0, abs=1e-5)}


def test_attention_by_functions_is_found() -> None:
    query, key = keras.Input((6, 2, 4)), keras.Input((5, 2, 4))
    model = keras.Model([query, key], ops.dot_product_attention(query, key, key))
    assert len(measured(graph_of(model.to_json()))) == 1


def test_the_kernels_of_attention_are_weight_layers_with_their_biases() -> None:
    graph = graph_of(json.dumps(document(layers.MultiHeadAttention(2, 4, name="look"), (6, 8), (6, 8))))
    found = {layer.kernel: layer.bias for layer in weight_layers(graph)}
    parts = ("query", "key", "value", "attention_output")
    assert found == {f"look.{part}.kernel": f"look.{part}.bias" for part in parts}
