"""tf.keras 2.x: files written by hand as its `to_json()` documents them, beside the same models in Keras 3."""

import json
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from service.contract.problem import Trouble
from service.descriptions import parse
from tests.keras.real import same

GLOROT = {"class_name": "GlorotUniform", "config": {"seed": None}}
ORTHOGONAL = {"class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}}
ZEROS: dict[str, Any] = {"class_name": "Zeros", "config": {}}
ONES: dict[str, Any] = {"class_name": "Ones", "config": {}}


def given(name: str, *shape: int | None, dtype: str = "float32") -> dict[str, Any]:
    """Return an InputLayer."""
    config = {"batch_input_shape": [None, *shape], "dtype": dtype, "sparse": False, "ragged": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def placed(kind: str, name: str, calls: list[Any] | None = None, **config: Any) -> dict[str, Any]:  # noqa: ANN401  any config
    """Return a layer; `calls` are its inbound nodes."""
    whole = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "config": whole, **({} if calls is None else {"name": name, "inbound_nodes": calls})}


def dense(name: str, units: int, calls: list[Any] | None = None, activation: str = "linear") -> dict[str, Any]:
    """Return a Dense layer with every field that tf.keras 2 writes."""
    nothing = dict.fromkeys(
        ("kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint")
    )
    own = {"units": units, "activation": activation, "use_bias": True}
    return placed("Dense", name, calls, **own, kernel_initializer=GLOROT, bias_initializer=ZEROS, **nothing)


def recurrent(kind: str, name: str, units: int, calls: list[Any] | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401  any config
    """Return an LSTM or GRU with the fields that tf.keras 2 writes."""
    own = {
        "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False, "unroll": False,
        "time_major": False, "units": units, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True,
        "kernel_initializer": GLOROT, "recurrent_initializer": ORTHOGONAL, "bias_initializer": ZEROS, "dropout": 0.0,
        "recurrent_dropout": 0.0, "implementation": 2, "kernel_regularizer": None, "kernel_constraint": None,
    }  # fmt: skip
    return placed(kind, name, calls, **{**own, **more})


def file(kind: str, config: dict[str, Any], version: str = "2.11.0") -> str:
    """Return a whole file."""
    return json.dumps({"class_name": kind, "config": config, "keras_version": version, "backend": "tensorflow"})


def sequential(*listed: dict[str, Any]) -> str:
    """Return a Sequential's file."""
    return file("Sequential", {"name": "sequential", "layers": list(listed)})


def functional(listed: list[dict[str, Any]], inputs: list[str], outputs: list[str]) -> str:
    """Return a Functional's file."""
    ends = {"input_layers": [[name, 0, 0] for name in inputs], "output_layers": [[name, 0, 0] for name in outputs]}
    return file("Functional", {"name": "model", "layers": listed, **ends})


def test_a_sequential_behind_an_input_layer() -> None:
    model = keras.Sequential(
        [layers.Input((4,), name="in"), layers.Dense(3, "relu", name="a"), layers.Dense(2, name="b")]
    )
    same(model, text=sequential(given("in", 4), dense("a", 3, activation="relu"), dense("b", 2)))


def test_a_sequential_whose_first_layer_says_the_shape() -> None:
    first = dense("a", 3, activation="tanh")
    first["config"]["batch_input_shape"] = [None, 4]
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, "tanh", name="a")])
    same(model, text=sequential(first))


def test_branches_are_joined_by_nested_lists() -> None:
    one, other = keras.Input((4,), name="one"), keras.Input((3,), name="other")
    shared = layers.Dense(5, "relu", name="s")
    joined = layers.Concatenate(name="c")([shared(one), layers.Dense(2, name="t")(other), shared(one)])
    model = keras.Model([one, other], layers.Dense(1, name="d")(joined))
    listed = [
        given("one", 4),
        given("other", 3),
        dense("s", 5, [[["one", 0, 0, {}]], [["one", 0, 0, {}]]], "relu"),
        dense("t", 2, [[["other", 0, 0, {}]]]),
        placed("Concatenate", "c", [[["s", 0, 0, {}], ["t", 0, 0, {}], ["s", 1, 0, {}]]], axis=-1),
        dense("d", 1, [[["c", 0, 0, {}]]]),
    ]
    same(model, text=functional(listed, ["one", "other"], ["d"]))


def test_the_hard_sigmoid_of_tf_keras_2_is_steeper() -> None:
    """clip(0.2 x + 0.5, 0, 1) there; clip(x / 6 + 0.5, 0, 1) in Keras 3."""
    model = keras.Sequential(
        [
            layers.Input((4,), name="in"),
            layers.Dense(6, name="a", activation=lambda x: keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)),
        ]
    )
    same(model, text=sequential(given("in", 4), dense("a", 6, activation="hard_sigmoid")))


def test_a_convolutional_network() -> None:
    conv = placed(
        "Conv2D", "c", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="same", data_format="channels_last",
        dilation_rate=[1, 1], groups=1, activation="relu", use_bias=True, kernel_initializer=GLOROT,
        bias_initializer=ZEROS, kernel_regularizer=None,
    )  # fmt: skip
    norm = placed(
        "BatchNormalization", "n", axis=[3], momentum=0.99, epsilon=0.001, center=True, scale=True,
        beta_initializer=ZEROS, gamma_initializer=ONES, moving_mean_initializer=ZEROS,
        moving_variance_initializer=ONES, beta_regularizer=None, gamma_regularizer=None,
    )  # fmt: skip
    pool = placed("MaxPooling2D", "p", pool_size=[2, 2], padding="valid", strides=[2, 2], data_format="channels_last")
    leaky = placed("LeakyReLU", "l", alpha=0.30000001192092896)
    flat = placed("Flatten", "f", data_format="channels_last")
    model = keras.Sequential([
        layers.Input((9, 8, 3), name="in"),
        layers.Conv2D(4, 3, 2, "same", activation="relu", name="c"),
        layers.BatchNormalization(name="n"),
        layers.MaxPooling2D(name="p"),
        layers.LeakyReLU(0.3, name="l"),
        layers.Flatten(name="f"),
        layers.Dense(2, name="d"),
    ])  # fmt: skip
    for training in (False, True):
        same(
            model,
            text=sequential(given("in", 9, 8, 3), conv, norm, pool, leaky, flat, dense("d", 2)),
            training=training,
        )


@pytest.mark.parametrize("reset_after", [True, False])
def test_a_gru_resets_as_its_file_says(reset_after: bool) -> None:  # noqa: FBT001  a parameter
    model = keras.Sequential([layers.Input((5, 4), name="in"), layers.GRU(3, reset_after=reset_after, name="g")])
    same(model, text=sequential(given("in", 5, 4), recurrent("GRU", "g", 3, reset_after=reset_after)))


def test_states_are_handed_from_an_encoder_to_a_decoder() -> None:
    source, target = keras.Input((5, 4), name="source"), keras.Input((6, 4), name="target")
    _, hidden, cell = layers.LSTM(3, return_state=True, name="e")(source)
    model = keras.Model([source, target], layers.LSTM(3, name="d")(target, initial_state=[hidden, cell]))
    states = {"initial_state": [["e", 0, 1], ["e", 0, 2]]}
    listed = [
        given("source", 5, 4),
        given("target", 6, 4),
        recurrent("LSTM", "e", 3, [[["source", 0, 0, {}]]], return_state=True, unit_forget_bias=True),
        recurrent("LSTM", "d", 3, [[["target", 0, 0, states]]], unit_forget_bias=True),
    ]
    same(model, text=functional(listed, ["source", "target"], ["d"]))


def test_a_model_is_a_layer_of_another() -> None:
    outer = keras.Input((4,), name="outer")
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(4, "relu", name="i")], name="inner")
    model = keras.Model(outer, layers.Dense(2, name="d")(inner(inner(outer))))
    nested = {
        "class_name": "Sequential",
        "config": {"name": "inner", "layers": [given("x", 4), dense("i", 4, activation="relu")]},
        "name": "inner",
        "inbound_nodes": [[["outer", 0, 0, {}]], [["inner", 0, 0, {}]]],
    }
    same(model, text=functional([given("outer", 4), nested, dense("d", 2, [[["inner", 1, 0, {}]]])], ["outer"], ["d"]))


def test_tokens_are_looked_up_and_attended_to() -> None:
    tokens = keras.Input((6,), name="in")
    found = layers.Embedding(9, 4, name="e")(tokens)
    model = keras.Model(tokens, layers.GlobalAveragePooling1D(name="p")(layers.Attention(name="a")([found, found])))
    uniform = {"class_name": "RandomUniform", "config": {"minval": -0.05, "maxval": 0.05, "seed": None}}
    listed = [
        given("in", 6),
        placed("Embedding", "e", [[["in", 0, 0, {}]]], input_dim=9, output_dim=4, embeddings_initializer=uniform,
               embeddings_regularizer=None, mask_zero=False, input_length=None, batch_input_shape=[None, None]),
        placed("Attention", "a", [[["e", 0, 0, {}], ["e", 0, 0, {}]]], use_scale=False, dropout=0.0, score_mode="dot"),
        placed("GlobalAveragePooling1D", "p", [[["a", 0, 0, {}]]], data_format="channels_last", keepdims=False),
    ]  # fmt: skip
    same(model, {"in": np.array([[0, 8, 1, 2, 2, 7]])}, text=functional(listed, ["in"], ["p"]))


@pytest.mark.parametrize(
    ("layer", "pointer"),
    [
        (
            placed("Lambda", "l", function=["4wEAAAA=", None, None], function_type="lambda"),
            "/config/layers/1/class_name",
        ),
        (placed("MyLayer", "m", units=3), "/config/layers/1/class_name"),
        (dense("d", 3, activation="my_activation"), "/config/layers/1/config/activation"),
        (dense("d", 0), "/config/layers/1/config/units"),
    ],
    ids=["Lambda", "custom layer", "custom activation", "no units"],
)
def test_what_cannot_be_examined_is_refused_by_name(layer: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Trouble) as caught:
        parse(sequential(given("in", 4), layer).encode())
    assert caught.value.pointer == pointer
    assert str(layer["config"].get("activation", layer["class_name"])) in caught.value.detail or "units" in pointer
