"""Masked steps before recurrent layers, beside the real Keras."""

from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
import torch
from keras import layers

from tests.keras.real import same
from tests.keras.sequences import KINDS, shaken
from worker.network.export import to_onnx
from worker.network.run import Program


def masked(layer: keras.layers.Layer, *states: int) -> keras.Model:
    """Return a model that calls the layer with a mask, which is an input, and with initial states."""
    given, mask = keras.Input((6, 4), name="given"), keras.Input((6,), dtype="bool", name="mask")
    starts = [keras.Input((size,), name=f"start{index}") for index, size in enumerate(states)]
    made = layer(given, mask=mask, **({"initial_state": starts} if starts else {}))
    return shaken(keras.Model([given, mask, *starts], made))


def holes(*states: int) -> dict[str, Any]:
    """Return a batch whose masks have gaps at the front, in the middle and at the end; one leaves nothing."""
    generator = np.random.default_rng(1)
    mask = np.array(
        [[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0, 1, 0, 0, 1, 0], [0] * 6, [1] * 6], np.bool_
    )
    starts = {f"start{index}": generator.standard_normal((6, size)) for index, size in enumerate(states)}
    floats = {"given": generator.standard_normal((6, 6, 4)), **starts}
    return {"mask": mask, **{name: value.astype(np.float32) for name, value in floats.items()}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"return_sequences": True, "go_backwards": True},
        {"go_backwards": True},
        {"zero_output_for_mask": True},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"return_sequences": True, "return_state": True},
    ],
    ids=lambda given: "-".join(given) or "plain",
)
def test_masked_steps_are_left_out_as_keras_does(kind: str, options: dict[str, Any]) -> None:
    graph = same(masked(KINDS[kind](5, **options)), holes())
    assert [node.op for node in graph.nodes if node.op in {"RNN", "LSTM", "GRU"}] == [kind.removeprefix("Simple")]


@pytest.mark.parametrize("every", [False, True])
def test_masked_steps_before_the_first_show_zeros_though_states_are_given(every: bool) -> None:  # noqa: FBT001
    same(masked(layers.LSTM(5, return_sequences=every, return_state=True), 5, 5), holes(5, 5))


@pytest.mark.parametrize("every", [False, True])
def test_both_directions_leave_masked_steps_out(every: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    same(masked(layers.Bidirectional(layers.GRU(5, return_sequences=every))), holes())


@pytest.mark.parametrize("every", [False, True])
def test_stacked_cells_leave_masked_steps_out(every: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    cells = layers.StackedRNNCells([layers.LSTMCell(5), layers.GRUCell(3)])
    same(masked(layers.RNN(cells, return_sequences=every)), holes())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [False, True])
def test_cells_that_no_operator_knows_leave_masked_steps_out(kind: str, every: bool) -> None:  # noqa: FBT001
    layer = KINDS[kind](5, activation="silu", return_sequences=every)
    same(masked(layers.Bidirectional(layer) if every else layer), holes())


def test_a_masked_network_runs_as_onnxruntime_runs_it() -> None:
    graph = same(masked(layers.Bidirectional(layers.LSTM(5, return_sequences=True))), holes())
    batch = {name: value[[0, 1, 2, 3, 5]] for name, value in holes().items()}
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString())
    (expected,) = session.run(None, batch)
    found = Program(graph).run({name: torch.from_numpy(value) for name, value in batch.items()}, training=False)
    torch.testing.assert_close(found[graph.outputs[0]], torch.from_numpy(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("functional", [False, True])
def test_masks_pass_from_layer_to_layer(functional: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    """A chain hands masks on by itself; a functional model of Keras 3 names them in every call."""
    stack = [
        layers.Embedding(4, 6, mask_zero=True),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
        layers.Dropout(0.2),
        layers.TimeDistributed(layers.Dense(4, activation="tanh")),
        layers.GRU(3, return_sequences=True, go_backwards=True),
        layers.SimpleRNN(3),
    ]
    value = given = keras.Input((8,), dtype="int32", name="tokens")
    for layer in stack:
        value = layer(value) if functional else value
    model = keras.Model(given, value) if functional else keras.Sequential([given, *stack])
    same(shaken(model), {"tokens": np.random.default_rng(2).integers(0, 4, (6, 8))})


def test_a_step_of_one_value_throughout_is_masked() -> None:
    given = np.random.default_rng(3).standard_normal((4, 6, 4)).astype(np.float32)
    given[[0, 1, 1, 2], [5, 0, 3, 2]] = -1.0
    stack = layers.Masking(mask_value=-1.0), layers.GRU(5, return_sequences=True), layers.LSTM(3)
    model = keras.Sequential([keras.Input((6, 4), name="given"), *stack])
    same(shaken(model), {"given": given})
