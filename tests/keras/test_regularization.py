"""Keras's noise: nothing in evaluation, and Keras's moments in training."""

import json
from typing import Any

import keras
import pytest
import torch
from keras import layers
from torch import Tensor

from service.descriptions import parse
from tests.keras.real import described, same
from worker.load.keras_model import lower
from worker.network.run import Program

Layer = Any


def noised(layer: Layer, value: Tensor) -> Tensor:
    """Return what our reading of a layer makes of a value in training."""
    model = keras.Sequential([layers.Input(tuple(value.shape[1:]), name="in"), layer])
    graph = lower(described(model), seed=0)
    run = Program(graph).run({"in": value}, training=True, generator=torch.Generator().manual_seed(1))
    return run[graph.outputs[0]]


CASES = [
    (layers.Dropout(0.2), (30, 40)),
    (layers.Dropout(0.2, noise_shape=(None, 1, None)), (30, 40)),
    (layers.Dropout(0.2, noise_shape=(None, 30, 1)), (30, 40)),
    (layers.SpatialDropout1D(0.2), (30, 40)),
    (layers.SpatialDropout2D(0.2), (6, 5, 40)),
    (layers.SpatialDropout2D(0.2, data_format="channels_first"), (40, 6, 5)),
    (layers.SpatialDropout3D(0.2), (3, 2, 5, 40)),
    (layers.AlphaDropout(0.2), (30, 40)),
    (layers.AlphaDropout(0.2, noise_shape=(None, 1, 40)), (30, 40)),
    (layers.GaussianDropout(0.2), (30, 40)),
    (layers.GaussianNoise(0.3), (30, 40)),
]


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda value: getattr(value, "name", None))
def test_noise_has_kerass_moments_and_kerass_pattern(layer: Layer, shape: tuple[int, ...]) -> None:
    """Means and deviations over all, and along each axis of the sample."""
    value = 2 * torch.ones(200, *shape)
    ours, theirs = noised(layer, value), layer(value, training=True)
    assert ours.mean().item() == pytest.approx(theirs.mean().item(), abs=0.06)
    assert ours.std().item() == pytest.approx(theirs.std().item(), abs=0.06)
    for axis in range(1, len(shape) + 1):
        spread = [each.std(axis).mean().item() for each in (ours, theirs)]
        assert spread[0] == pytest.approx(spread[1], abs=0.05)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda value: getattr(value, "name", None))
def test_noise_is_nothing_in_evaluation(layer: Layer, shape: tuple[int, ...]) -> None:
    same(keras.Sequential([layers.Input(shape), layers.Dense(shape[-1]), layer]))


def test_a_penalty_on_what_passes_is_left_out_and_said() -> None:
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3), layers.ActivityRegularization(l2=0.1, name="a")])
    same(model)
    assert any("'a'" in note for note in described(model).notes)


def test_dropout_of_everything_gives_zeros() -> None:
    for layer in (layers.Dropout(1.0), layers.Dropout(1.0, noise_shape=(None, 1, 4))):
        assert not noised(layer, torch.ones(3, 5, 4)).any()


def test_a_file_of_tf_keras_with_noise_is_read() -> None:
    """From its documented shape."""
    document = """{"class_name": "Sequential", "keras_version": "2.11.0", "config": {"name": "s",
      "layers": [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 8, 4], "dtype": "float32", "name": "in"}},
        {"class_name": "SpatialDropout1D", "config": {"name": "a", "trainable": true, "dtype": "float32", "rate": 0.2,
          "noise_shape": null, "seed": null}},
        {"class_name": "LeakyReLU", "config": {"name": "b", "trainable": true, "dtype": "float32", "alpha": 0.2}},
        {"class_name": "ThresholdedReLU", "config": {"name": "c", "trainable": true, "dtype": "float32", "theta": 0.5}}
      ]}}"""
    graph = lower(parse(document.encode()), seed=0)  # type: ignore[arg-type]  one of Keras's
    value = torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(0))
    found = Program(graph).run({"in": value})[graph.outputs[0]]
    torch.testing.assert_close(found, torch.where(value > 0.5, value, torch.zeros(())))


def test_a_model_that_is_called_without_training_stays_in_evaluation() -> None:
    """As a trained base does in tf.keras 2's guide to transfer learning; Keras 3 leaves that to the outer model."""
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "inside"}}
    norm = {"class_name": "BatchNormalization", "config": {"name": "norm", "axis": [1]}}
    drop = {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5}}
    base = {"class_name": "Sequential", "name": "base", "config": {"name": "base", "layers": [first, norm, drop]}}
    given = {"class_name": "InputLayer", "name": "in", "config": {"batch_input_shape": [None, 4], "name": "in"}}
    layers = [
        {**given, "inbound_nodes": []},
        {**base, "inbound_nodes": [[["in", 0, 0, {"training": False}]]]},
    ]
    config = {"name": "m", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["base", 0, 0]]}
    value = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)) + 3
    for version, stays in (("2.12.0", True), ("3.0.0", False)):
        document = {"class_name": "Functional", "config": config, "keras_version": version}
        graph = lower(parse(json.dumps(document).encode()), seed=0)  # type: ignore[arg-type]  one of Keras's
        found = Program(graph).run({"in": value}, training=True)[graph.outputs[0]]
        assert torch.allclose(found, value / (1 + 1e-3) ** 0.5, rtol=1e-5) is stays
