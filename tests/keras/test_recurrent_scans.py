"""Recurrent cells that no operator of ONNX knows, beside the real Keras."""

from typing import Any

import keras
import onnxruntime
import pytest
import torch
from keras import layers

from tests.keras.real import drawn, same
from tests.keras.sequences import KINDS, chain, shaken
from worker.network.export import to_onnx
from worker.network.run import Program

FUNCTIONS = ["gelu", "silu", "softmax", "selu", "mish", "hard_silu", "hard_tanh", "relu6"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", FUNCTIONS)
def test_cells_of_any_function_are_kerass(kind: str, activation: str) -> None:
    graph = same(shaken(chain(KINDS[kind](5, activation=activation))))
    assert "Scan" in {node.op for node in graph.nodes}


@pytest.mark.parametrize(
    "options",
    [
        {"recurrent_activation": "softmax"},
        {"reset_after": False},
        {"reset_after": False, "use_bias": False, "return_sequences": True},
        {"use_bias": False, "go_backwards": True, "return_state": True},
    ],
    ids=str,
)
def test_options_of_such_cells_are_kerass(options: dict[str, Any]) -> None:
    given = keras.Input((None, 4))
    made = layers.GRU(5, activation="gelu", **options)(given)
    same(shaken(keras.Model(given, keras.tree.flatten(made))))


def test_such_a_decoder_starts_from_the_encoders_states() -> None:
    source, target = keras.Input((None, 4), name="source"), keras.Input((None, 3), name="target")
    _, *states = layers.LSTM(5, activation="gelu", return_state=True)(source)
    steps = layers.LSTM(5, activation="gelu", return_sequences=True)(target, initial_state=states)
    same(shaken(keras.Model([source, target], steps)))


def test_such_cells_stand_among_others() -> None:
    cells = [layers.LSTMCell(5), layers.GRUCell(3, activation="gelu"), layers.SimpleRNNCell(4)]
    same(shaken(chain(layers.RNN(layers.StackedRNNCells(cells), return_sequences=True))))


def test_a_scan_runs_as_onnxruntime_runs_it() -> None:
    graph = same(
        shaken(chain(layers.LSTM(5, activation="silu", return_sequences=True), layers.GRU(4, activation="mish")))
    )
    (name, value), *_ = drawn(graph).items()
    (expected,) = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString()).run(None, {name: value})
    found = Program(graph).run({name: torch.from_numpy(value)}, training=False)[graph.outputs[0]]
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-5, atol=1e-6)
