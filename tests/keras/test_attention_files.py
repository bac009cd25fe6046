"""Files with attention: what they are refused for, and what tf.keras 2 meant by them."""

import json
from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from service.contract.problem import Trouble
from service.descriptions import parse
from service.keras import Description
from tests.keras.real import same
from worker.load.keras_model import lower

Make = Callable[[], Any]


def document(layer: keras.Layer, *shapes: tuple[int, ...], **called: Any) -> dict[str, Any]:  # noqa: ANN401  any argument
    """Return the file of a layer that is called with inputs of these shapes."""
    given = [keras.Input(shape) for shape in shapes]
    listed = isinstance(layer, layers.Attention)
    made = layer(given, **called) if listed else layer(*given, **called)
    whole: dict[str, Any] = json.loads(keras.Model(given, made).to_json())
    return whole


def refused(whole: dict[str, Any], **changes: Any) -> tuple[str, str]:  # noqa: ANN401  any config
    """Return where, below the layer, and why a file is refused when its layer has another config."""
    index = len(whole["config"]["layers"]) - 1
    whole["config"]["layers"][index]["config"].update(changes)
    with pytest.raises(Trouble) as caught:
        parse(json.dumps(whole).encode())
    place = f"/config/layers/{index}"
    assert (caught.value.pointer or "").startswith(place)
    return (caught.value.pointer or "").removeprefix(place), caught.value.detail


@pytest.mark.parametrize(
    ("make", "changes", "place", "said"),
    [
        (lambda: document(layers.MultiHeadAttention(2, 4), (6, 8), (6, 8)), {"num_heads": 0}, "/config/num_heads", "1"),
        (
            lambda: document(layers.MultiHeadAttention(2, 4), (6, 8), (6, 8)),
            {"attention_axes": [2]},
            "/config/attention_axes",
            "[2]",
        ),
        (
            lambda: document(layers.MultiHeadAttention(2, 4, attention_axes=(1, 2)), (3, 4, 8), (3, 4, 8)),
            {"sliding_window": 2},
            "",
            "(time, features)",
        ),
        (
            lambda: document(layers.MultiHeadAttention(2, 4), (None, None, 8), (None, None, 8)),
            {},
            "",
            "open",
        ),
        (lambda: document(layers.MultiHeadAttention(64, 4), (4096, 8), (4096, 8)), {}, "", "67108864"),
        (
            lambda: document(layers.GroupQueryAttention(3, 4, 2), (6, 8), (6, 8)),
            {"num_key_value_heads": 3},
            "/config/num_key_value_heads",
            "3 groups",
        ),
        (
            lambda: document(layers.Attention(), (6, 8), (5, 8)),
            {"score_mode": "cosine"},
            "/config/score_mode",
            "cosine",
        ),
        (lambda: document(layers.Attention(), (2, 6, 8), (2, 5, 8)), {}, "", "(time, features)"),
        (lambda: document(layers.AdditiveAttention(), (4096, 64), (4096, 64)), {}, "", "1073741824"),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"equation": "abc->ab"},
            "/config/equation",
            "abc->ab",
        ),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"equation": "ab,bd->ad"},
            "/config/equation",
            "2 axes",
        ),
        (
            lambda: document(layers.MultiHeadAttention(2, 4), (60_000, 1), (6, 1)),
            {"key_dim": 60_000},
            "",
            "7200000000",
        ),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"equation": "abc,cd->dab"},
            "/config/equation",
            "batch's",
        ),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"equation": "abb,bd->abd"},
            "/config/equation",
            "one axis",
        ),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"equation": "abc,acd->abd"},
            "",
            "size of 'a'",
        ),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"output_shape": [None, -4]},
            "/config/output_shape/1",
            "greater than",
        ),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"output_shape": [7, 4]},
            "/config/output_shape",
            "size 5",
        ),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"output_shape": [4]},
            "/config/output_shape",
            "3 axes",
        ),
        (
            lambda: document(layers.EinsumDense("abc,cd->abd", (None, 4)), (5, 6)),
            {"bias_axes": "c"},
            "/config/bias_axes",
            "'c'",
        ),
    ],
)
def test_a_file_that_cannot_be_built_is_refused_where_the_fault_is(
    make: Make, changes: dict[str, Any], place: str, said: str
) -> None:
    found, detail = refused(make(), **changes)
    assert found == place
    assert said in detail


def without_axes(value: Any) -> Any:  # noqa: ANN401  what a file may hold
    """Return a file as Keras wrote it before initializers could be told axes."""
    if isinstance(value, dict):
        return {key: without_axes(each) for key, each in value.items() if key not in {"input_axes", "output_axes"}}
    return [without_axes(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("older", "spread"),
    [(False, {"query": 2 / (64 + 128), "attention_output": 2 / (128 + 64)}),
     (True, {"query": 2 / (64 * 4 + 64 * 32), "attention_output": 2 / (4 * 32 + 4 * 64)})],
)  # fmt: skip
def test_fans_are_counted_as_the_keras_that_wrote_the_file_counts_them(older: bool, spread: dict[str, float]) -> None:  # noqa: FBT001  pytest's
    """4 heads of 32 on 64 features: the kernels are (64, 4, 32) and (4, 32, 64)."""
    whole = document(layers.MultiHeadAttention(4, 32, name="a"), (6, 64), (6, 64))
    found = parse(json.dumps(without_axes(whole) if older else whole).encode())
    assert isinstance(found, Description)
    graph = lower(found, seed=0)
    for part, variance in spread.items():
        drawn = graph.parameters[f"a.{part}.kernel"].value
        assert drawn.var().item() == pytest.approx(variance, rel=0.1)


def test_a_file_of_tf_keras_2_is_the_model_that_it_was() -> None:
    query, value = keras.Input((6, 8), name="q"), keras.Input((5, 7), name="v")
    made = layers.MultiHeadAttention(2, 4, value_dim=3, name="a")(query, value)
    pooled = layers.Attention(use_scale=True, name="b")([made, made])
    model = keras.Model([query, value], pooled)
    heads = {
        "num_heads": 2, "key_dim": 4, "value_dim": 3, "dropout": 0.0, "use_bias": True, "output_shape": None,
        "attention_axes": None, "query_shape": [None, 6, 8], "key_shape": [None, 5, 7], "value_shape": [None, 5, 7],
        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
        "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None,
    }  # fmt: skip
    calls = [[["q", 0, 0, {"value": ["v", 0, 0]}]]]
    plain = {"name": "b", "use_scale": True, "causal": False, "dropout": 0.0}
    whole = {
        "name": "model",
        "layers": [
            older_layer("InputLayer", {"name": "q", "batch_input_shape": [None, 6, 8], "sparse": False}, []),
            older_layer("InputLayer", {"name": "v", "batch_input_shape": [None, 5, 7], "sparse": False}, []),
            older_layer("MultiHeadAttention", {"name": "a", **heads}, calls),
            older_layer("Attention", plain, [[["a", 0, 0, {}], ["a", 0, 0, {}]]]),
        ],
        "input_layers": [["q", 0, 0], ["v", 0, 0]],
        "output_layers": [["b", 0, 0]],
    }
    same(model, text=json.dumps({"class_name": "Functional", "config": whole, "keras_version": "2.11.0"}))


def older_layer(kind: str, config: dict[str, Any], calls: list[Any]) -> dict[str, Any]:
    """Return a layer of tf.keras 2; `calls` are its inbound nodes."""
    return {"class_name": kind, "config": config, "name": config["name"], "inbound_nodes": calls}
