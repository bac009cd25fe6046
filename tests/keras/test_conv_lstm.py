"""Convolutional LSTMs beside the real Keras."""

from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
import torch
from keras import layers

from tests.keras.real import drawn, same
from tests.keras.sequences import shaken
from worker.network.export import to_onnx
from worker.network.run import Program

IMAGES = (4, 6, 5, 2)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "same", "return_sequences": True},
        {"padding": "same", "strides": 2, "return_state": True},
        {"padding": "same", "dilation_rate": 2, "use_bias": False},
        {"go_backwards": True, "return_sequences": True, "unit_forget_bias": False},
        {"kernel_size": (2, 4), "padding": "same", "recurrent_activation": "hard_sigmoid"},
        {"activation": "gelu", "recurrent_regularizer": "l2", "dropout": 0.2},
    ],
    ids=lambda given: "-".join(given) or "plain",
)
def test_images_over_time_are_kerass(options: dict[str, Any]) -> None:
    given = keras.Input(IMAGES)
    made = layers.ConvLSTM2D(3, **{"kernel_size": 3, **options})(given)
    same(shaken(keras.Model(given, keras.tree.flatten(made))))


def test_sequences_and_volumes_over_time_are_kerass() -> None:
    given = keras.Input((4, 9, 2))
    same(shaken(keras.Model(given, layers.ConvLSTM1D(3, 3, strides=2)(given))))
    given = keras.Input((3, 4, 5, 4, 2))
    same(shaken(keras.Model(given, layers.ConvLSTM3D(3, 2, padding="same", return_sequences=True)(given))))


def test_an_unknown_time_and_channels_first_are_kerass() -> None:
    given = keras.Input((None, 2, 6, 5))
    layer = layers.ConvLSTM2D(3, 3, data_format="channels_first", return_sequences=True, return_state=True)
    same(shaken(keras.Model(given, keras.tree.flatten(layer(given)))))


def test_a_predictor_of_frames_starts_from_states_and_walks_both_ways() -> None:
    given = keras.Input(IMAGES)
    form = {"kernel_size": 3, "padding": "same", "return_sequences": True}
    value, *states = layers.ConvLSTM2D(3, return_state=True, **form)(given)
    value = layers.ConvLSTM2D(3, **form)(value, initial_state=states)
    value = layers.Bidirectional(layers.ConvLSTM2D(2, **form), merge_mode="sum")(value)
    same(shaken(keras.Model(given, value)))


@pytest.mark.parametrize("every", [False, True])
def test_masked_images_are_left_out(every: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    given, mask = keras.Input(IMAGES, name="given"), keras.Input((4,), dtype="bool", name="mask")
    made = layers.ConvLSTM2D(3, 3, return_sequences=every, zero_output_for_mask=not every)(given, mask=mask)
    holes = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0] * 4, [1] * 4], np.bool_)
    images = np.random.default_rng(0).standard_normal((4, *IMAGES)).astype(np.float32)
    same(shaken(keras.Model([given, mask], made)), {"given": images, "mask": holes})


def test_a_convolutional_lstm_runs_as_onnxruntime_runs_it() -> None:
    given = keras.Input(IMAGES)
    graph = same(shaken(keras.Model(given, layers.ConvLSTM2D(3, 3, padding="same")(given))))
    ((name, value),) = drawn(graph).items()
    (expected,) = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString()).run(None, {name: value})
    found = Program(graph).run({name: torch.from_numpy(value)}, training=False)[graph.outputs[0]]
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-5, atol=1e-6)
