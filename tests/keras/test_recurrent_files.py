"""Recurrent layers of a file: what is drawn, dropped, refused, and meant by tf.keras 2."""

import json
from collections.abc import Callable
from typing import Any

import keras
import pytest
import torch
from keras import layers

from service.contract.problem import Invalid, Trouble, UnsupportedModel
from service.descriptions import parse
from tests.keras.real import described, same
from tests.keras.sequences import chain, shaken
from worker.load.keras_model import lower
from worker.network.graph import Graph
from worker.network.run import Program


def run(graph: Graph, value: torch.Tensor, *, training: bool) -> torch.Tensor:
    """Return the first output."""
    return Program(graph).run({graph.inputs[0].name: value}, training=training)[graph.outputs[0]]


def test_dropout_drops_a_feature_at_all_steps() -> None:
    layer = layers.SimpleRNN(
        4, dropout=0.5, activation="linear", kernel_initializer="identity", recurrent_initializer="zeros",
        return_sequences=True,
    )  # fmt: skip
    graph = lower(described(chain(layer)), seed=0)
    torch.manual_seed(0)
    found = run(graph, torch.ones(200, 7, 4), training=True)
    assert torch.equal(found, found[:, :1].expand_as(found))
    assert set(found.flatten().tolist()) == {0.0, 2.0}
    assert 0.45 < found.eq(0).float().mean() < 0.55
    assert torch.equal(run(graph, torch.ones(2, 7, 4), training=False), torch.ones(2, 7, 4))


def test_weights_are_drawn_as_one_matrix_of_all_gates() -> None:
    """Glorot's bound counts all gates; rows of the recurrent kernel (units, 4 · units) are orthonormal."""
    parameters = lower(described(chain(layers.LSTM(40, name="l"))), seed=0).parameters
    kernel, steps, bias = (parameters[f"l.{role}"].value[0] for role in ("kernel", "recurrent_kernel", "bias"))
    bound = (6 / (4 + 160)) ** 0.5
    assert 0.98 * bound < kernel.abs().max() <= bound
    torch.testing.assert_close(steps.T @ steps, torch.eye(40), rtol=0, atol=1e-5)
    assert bias.reshape(4, 40).sum(1).tolist() == [0, 0, 40, 0]


def refused(model: keras.Model) -> Trouble:
    """Return what the model is refused with."""
    with pytest.raises((Invalid, UnsupportedModel)) as caught:
        parse(model.to_json().encode())
    return caught.value


def test_functions_that_change_the_width_are_refused_by_name() -> None:
    problem = refused(chain(layers.LSTM(5, activation="glu")))
    assert problem.pointer == "/config/layers/1/config/activation"
    assert "'glu'" in problem.detail


def test_what_is_left_out_is_said() -> None:
    given = keras.Input(batch_shape=(2, 7, 4))
    inner = layers.Bidirectional(layers.LSTM(5, recurrent_dropout=0.1, stateful=True))
    notes = described(keras.Model(given, inner(given))).notes
    assert [note.partition(" ")[0] for note in notes] == ["Stateful", "recurrent_dropout"]


def changed(model: keras.Model, index: int, **config: Any) -> Trouble:  # noqa: ANN401  what a file can hold
    """Return what a file is refused with in which one layer's config says something else."""
    document = json.loads(model.to_json())
    document["config"]["layers"][index]["config"] |= config
    with pytest.raises(Trouble) as caught:
        parse(json.dumps(document).encode())
    return caught.value


DENSE = {"class_name": "Dense", "config": {"units": 3, "name": "d"}}


@pytest.mark.parametrize(
    ("layer", "config", "at"),
    [
        (lambda: layers.LSTM(5), {"units": 0}, "/units"),
        (lambda: layers.LSTM(5), {"units": "many"}, "/units"),
        (lambda: layers.LSTM(5), {"dropout": 1.5}, "/dropout"),
        (lambda: layers.LSTM(5), {"time_major": True}, "/time_major"),
        (lambda: layers.GRU(5), {"recurrent_activation": "glu"}, "/recurrent_activation"),
        (lambda: layers.RNN(layers.LSTMCell(5)), {"cell": DENSE}, "/cell/class_name"),
        (lambda: layers.RNN(layers.LSTMCell(5)), {"cell": 3}, "/cell"),
        (lambda: layers.Bidirectional(layers.LSTM(5)), {"layer": DENSE}, "/layer/class_name"),
        (lambda: layers.Bidirectional(layers.LSTM(5)), {"merge_mode": "max"}, "/merge_mode"),
        (lambda: layers.TimeDistributed(layers.Dense(5)), {"layer": {**DENSE, "config": {"units": -1}}}, None),
        (lambda: layers.TimeDistributed(layers.Dense(5)), {"layer": {"class_name": "Lambda", "config": {}}}, None),
    ],
)
def test_what_does_not_fit_is_refused_at_its_field(
    layer: Callable[[], keras.layers.Layer], config: dict[str, Any], at: str | None
) -> None:
    pointer = changed(chain(layer()), 1, **config).pointer or ""
    assert pointer.startswith("/config/layers/1/config/layer/" if at is None else f"/config/layers/1/config{at}")


@pytest.mark.parametrize(
    ("shape", "layer", "field"),
    [((4000, 4), layers.LSTM(2), "units"), ((3, 64, 64, 1), layers.ConvLSTM2D(2, 3, padding="same"), "filters")],
    ids=["LSTM", "ConvLSTM2D"],
)
def test_gates_of_all_steps_are_bounded_though_one_step_is_shown(
    shape: tuple[int, ...], layer: keras.layers.Layer, field: str
) -> None:
    problem = changed(keras.Sequential([keras.Input(shape), layer]), 1, **{field: 6000})
    assert problem.detail.startswith("One sample takes ")
    assert problem.pointer == "/config/layers/1"


def test_states_of_another_size_are_refused() -> None:
    given, state = keras.Input((7, 4), name="given"), keras.Input((5,), name="state")
    problem = changed(keras.Model([given, state], layers.GRU(5)(given, initial_state=state)), 2, units=6)
    assert problem.pointer == "/config/layers/2"
    assert problem.detail == "The layer starts from states of (None, 6); (None, 5) reach it."


def test_a_file_of_tf_keras_2_is_read_as_it_was_meant() -> None:
    """States stand behind the sequence, Bidirectional names one layer, the hard sigmoid has the slope 0.2."""
    gru = {
        "units": 5,
        "return_state": True,
        "reset_after": False,
        "name": "gru",
        "recurrent_activation": "hard_sigmoid",
    }
    both = {"class_name": "LSTM", "config": {"units": 5, "return_sequences": True, "name": "lstm", "time_major": False}}
    shape = {"batch_input_shape": [None, None, 4], "dtype": "float32", "sparse": False}
    document = {
        "class_name": "Functional",
        "keras_version": "2.11.0",
        "config": {
            "name": "old",
            "layers": [
                {"class_name": "InputLayer", "config": {**shape, "name": "a"}, "name": "a", "inbound_nodes": []},
                {"class_name": "InputLayer", "config": {**shape, "name": "b"}, "name": "b", "inbound_nodes": []},
                {"class_name": "GRU", "config": gru, "name": "gru", "inbound_nodes": [[["a", 0, 0, {}]]]},
                {
                    "class_name": "GRU",
                    "config": {**gru, "name": "next"},
                    "name": "next",
                    "inbound_nodes": [[["b", 0, 0, {}], ["gru", 0, 1, {}]]],
                },
                {
                    "class_name": "Bidirectional",
                    "config": {"name": "both", "merge_mode": "sum", "layer": both},
                    "name": "both",
                    "inbound_nodes": [[["b", 0, 0, {}]]],
                },
            ],
            "input_layers": [["a", 0, 0], ["b", 0, 0]],
            "output_layers": [["next", 0, 0], ["both", 0, 0]],
        },
    }
    one, two = keras.Input((None, 4), name="a"), keras.Input((None, 4), name="b")
    options = {"return_state": True, "reset_after": False, "recurrent_activation": hard_sigmoid_of_2}
    _, state = layers.GRU(5, name="gru", **options)(one)
    last, _ = layers.GRU(5, name="next", **options)(two, initial_state=state)
    merged = layers.Bidirectional(layers.LSTM(5, return_sequences=True, name="lstm"), merge_mode="sum", name="both")(
        two
    )
    same(shaken(keras.Model([one, two], [last, merged])), text=json.dumps(document))


def hard_sigmoid_of_2(value: Any) -> Any:  # noqa: ANN401  a tensor of Keras's
    """Return tf.keras 2's hard sigmoid."""
    return keras.ops.clip(0.2 * value + 0.5, 0.0, 1.0)
