"""Recurrent layers with every option, beside the real Keras."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from tests.keras.real import described, same
from tests.keras.sequences import KINDS, chain, shaken
from worker.load.keras_model import lower

FUNCTIONS = ["elu", "hard_sigmoid", "leaky_relu", "linear", "relu", "sigmoid", "softplus", "softsign", "tanh"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"go_backwards": True},
        {"go_backwards": True, "return_sequences": True},
        {"use_bias": False},
        {"unroll": True},
        {"return_state": True},
        {"return_state": True, "return_sequences": True, "go_backwards": True},
        {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"},
        {"dropout": 0.3, "recurrent_dropout": 0.2},
    ],
    ids=lambda given: "-".join(given) or "plain",
)
@pytest.mark.parametrize("time", [7, None])
def test_a_layers_outputs_and_gradients_are_kerass(kind: str, options: dict[str, Any], time: int | None) -> None:
    given = keras.Input((7 if options.get("unroll") else time, 4))
    same(shaken(keras.Model(given, KINDS[kind](5, **options)(given))))


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_cells_take_keras_functions(kind: str, activation: str) -> None:
    gates = {} if kind == "SimpleRNN" else {"recurrent_activation": activation}
    same(shaken(chain(KINDS[kind](5, activation=activation))), tolerance=2e-5)
    same(shaken(chain(KINDS[kind](5, **gates))))


@pytest.mark.parametrize(
    "activation",
    [layers.LeakyReLU(negative_slope=0.1), layers.ELU(alpha=0.5), layers.ReLU()],
    ids=lambda each: each.name,
)
def test_a_functions_numbers_are_kept(activation: keras.layers.Layer) -> None:
    same(shaken(chain(layers.GRU(5, activation=activation))))


@pytest.mark.parametrize("options", [{"reset_after": False}, {"reset_after": False, "use_bias": False}])
def test_a_grus_reset_gate_may_stand_before_the_product(options: dict[str, Any]) -> None:
    same(shaken(chain(layers.GRU(5, return_sequences=True, **options))))


def test_an_lstms_forget_bias_may_start_at_zero() -> None:
    model = chain(layers.LSTM(5, unit_forget_bias=False, name="l"))
    same(model)
    assert not lower(described(model), seed=0).parameters["l.bias"].value.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_starts_from_the_encoders_states(kind: str) -> None:
    source, target = keras.Input((None, 4), name="source"), keras.Input((None, 3), name="target")
    _, *states = KINDS[kind](5, return_state=True)(source)
    steps, *ends = KINDS[kind](5, return_sequences=True, return_state=True)(target, initial_state=states)
    same(shaken(keras.Model([source, target], [layers.Dense(3, activation="softmax")(steps), *ends])))


def test_a_state_may_be_an_input() -> None:
    given, state = keras.Input((7, 4)), keras.Input((5,))
    same(keras.Model([given, state], layers.GRU(5)(given, initial_state=state)))


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_are_merged_as_kerass(kind: str, every: bool, merge: str | None) -> None:  # noqa: FBT001
    given = keras.Input((None, 4))
    layer = layers.Bidirectional(KINDS[kind](5, return_sequences=every), merge_mode=merge)
    same(shaken(keras.Model(given, layer(given))))


@pytest.mark.parametrize("merge", ["concat", None])
def test_both_directions_hand_their_states_on(merge: str | None) -> None:
    given = keras.Input((7, 4))
    _, *states = layers.Bidirectional(layers.LSTM(5, return_state=True))(given)
    follower = layers.Bidirectional(layers.LSTM(5, return_sequences=True, return_state=True), merge_mode=merge)
    same(shaken(keras.Model(given, list(follower(given, initial_state=states)))))


def test_directions_may_be_layers_of_their_own() -> None:
    back = layers.GRU(3, go_backwards=True, return_sequences=True, activation="relu", name="back")
    layer = layers.Bidirectional(layers.LSTM(5, return_sequences=True, use_bias=False), backward_layer=back)
    same(shaken(chain(layer)))


CELLS: dict[str, Callable[[], Any]] = {
    "simple": lambda: layers.SimpleRNNCell(5),
    "lstm": lambda: layers.LSTMCell(5, unit_forget_bias=False),
    "gru": lambda: layers.GRUCell(5, reset_after=False),
    "stacked": lambda: layers.StackedRNNCells([layers.LSTMCell(5), layers.GRUCell(3), layers.SimpleRNNCell(4)]),
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [{}, {"return_sequences": True, "go_backwards": True}, {"return_state": True}],
    ids=lambda given: "-".join(given) or "plain",
)
def test_an_rnn_of_cells_is_kerass(cell: str, options: dict[str, Any]) -> None:
    given = keras.Input((7, 4))
    same(shaken(keras.Model(given, keras.tree.flatten(layers.RNN(CELLS[cell](), **options)(given)))))


@pytest.mark.parametrize(
    "layer",
    [
        layers.TimeDistributed(layers.Dense(3, activation="relu")),
        layers.TimeDistributed(keras.Sequential([layers.Dense(3), layers.Dense(2, activation="tanh")])),
    ],
    ids=["dense", "model"],
)
@pytest.mark.parametrize("time", [7, None])
def test_a_layer_is_applied_to_every_step(layer: keras.layers.Layer, time: int | None) -> None:
    same(
        chain(
            layers.GRU(5, return_sequences=True),
            keras.layers.TimeDistributed.from_config(layer.get_config()),
            time=time,
        )
    )


def test_a_recurrent_layer_is_applied_to_every_part() -> None:
    given = keras.Input((3, 6, 4))
    same(shaken(keras.Model(given, layers.TimeDistributed(layers.LSTM(5, return_sequences=True))(given))))


def test_a_layer_that_is_called_twice_shares_its_weights() -> None:
    one, two = keras.Input((7, 4), name="one"), keras.Input((None, 4), name="two")
    layer = layers.Bidirectional(layers.GRU(5))
    assert len(same(shaken(keras.Model([one, two], [layer(one), layer(two)]))).parameters) == 6


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_a_cell_may_be_called_by_itself(cell: str) -> None:
    given, states = keras.Input((4,)), [keras.Input((5,)), keras.Input((5,))][: 2 if cell == "lstm" else 1]
    made = CELLS[cell]()(given, states)
    same(shaken(keras.Model([given, *states], keras.tree.flatten(made))))


def test_stacked_cells_start_from_the_states_of_each() -> None:
    given, states = keras.Input((7, 4)), [[keras.Input((5,)), keras.Input((5,))], keras.Input((3,))]
    cells = layers.StackedRNNCells([layers.LSTMCell(5), layers.GRUCell(3)])
    layer = layers.RNN(cells, return_state=True)
    made = layer(given, initial_state=states)
    same(shaken(keras.Model([given, *keras.tree.flatten(states)], keras.tree.flatten(made))))
