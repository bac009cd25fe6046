"""Keras's normalizations, in evaluation and in training."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from service.contract.problem import Invalid, Trouble, UnsupportedModel
from service.descriptions import parse
from tests.keras.real import same

VECTOR, SEQUENCE, IMAGE = (6,), (5, 6), (5, 4, 6)
DRAWN = {"gamma_initializer": "random_normal", "beta_initializer": "random_normal"}


def over(layer: keras.Layer, shape: tuple[int, ...]) -> keras.Model:
    """Return a model of a dense layer, whose weights show gradients, and this layer.

    There is no bias, as most normalizations take it out again.
    """
    dense = layers.Dense(6, kernel_initializer="random_normal", use_bias=False)
    return keras.Sequential([layers.Input(shape), dense, layer])


def cases() -> list[tuple[keras.Layer, tuple[int, ...]]]:
    """Return layers, each with the shape that it takes."""
    return [
        *((layers.BatchNormalization(**DRAWN), shape) for shape in (VECTOR, SEQUENCE, IMAGE, (3, 2, 4, 6))),
        (layers.BatchNormalization(axis=1, epsilon=0.1), IMAGE),
        (layers.BatchNormalization(axis=-2, center=False), SEQUENCE),
        (layers.BatchNormalization(scale=False, moving_variance_initializer=keras.initializers.Constant(0.5)), VECTOR),
        (layers.BatchNormalization(gamma_regularizer="l2", moving_mean_initializer="ones"), VECTOR),
        *((layers.LayerNormalization(**DRAWN), shape) for shape in (VECTOR, SEQUENCE, IMAGE)),
        (layers.LayerNormalization(axis=[1, 2], **DRAWN), SEQUENCE),
        (layers.LayerNormalization(axis=[2, 3], center=False), IMAGE),
        (layers.LayerNormalization(axis=[1, 3], scale=False, epsilon=0.1, beta_initializer="ones"), IMAGE),
        *((layers.GroupNormalization(groups, **DRAWN), shape) for groups in (2, 6, -1) for shape in (SEQUENCE, IMAGE)),
        (layers.GroupNormalization(2, **DRAWN), VECTOR),
        (layers.GroupNormalization(2, axis=2, center=False, epsilon=0.1), IMAGE),
        (layers.GroupNormalization(3, scale=False), IMAGE),
        *((layers.RMSNormalization(), shape) for shape in (VECTOR, SEQUENCE, IMAGE)),
        (layers.RMSNormalization(axis=[2, 3], epsilon=0.1), IMAGE),
        *((layers.UnitNormalization(), shape) for shape in (VECTOR, SEQUENCE, IMAGE)),
        (layers.UnitNormalization(axis=[1, 3]), IMAGE),
    ]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape"), cases(), ids=lambda value: getattr(value, "name", None))
def test_normalizations_are_kerass(layer: keras.Layer, shape: tuple[int, ...]) -> None:
    same(over(layer, shape))


@pytest.mark.parametrize(("layer", "shape"), cases(), ids=lambda value: getattr(value, "name", None))
def test_normalizations_are_kerass_in_training(layer: keras.Layer, shape: tuple[int, ...]) -> None:
    same(over(layer, shape), training=True, tolerance=5e-5)


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
def test_rms_scaling_divides_by_the_deviation_and_leaves_the_mean() -> None:
    same(over(layers.LayerNormalization(rms_scaling=True, gamma_initializer="random_normal"), SEQUENCE))
    same(over(layers.LayerNormalization(axis=[1, 2], rms_scaling=True), SEQUENCE))


def test_a_frozen_batch_normalization_keeps_to_its_running_statistics() -> None:
    layer = layers.BatchNormalization(**DRAWN, moving_mean_initializer="ones", trainable=False)
    graph = same(over(layer, IMAGE), training=True)
    assert not graph.parameters[f"{layer.name}.gamma"].trainable


def test_batch_normalization_leaves_masked_steps_out_of_its_statistics() -> None:
    given = keras.Input((5, 6), name="steps")
    masked = layers.Masking()(given)
    batch = np.random.default_rng(0).standard_normal((3, 5, 6)).astype("float32")
    batch[0, 3:] = batch[2, 1:] = 0
    model = keras.Model(given, layers.BatchNormalization(**DRAWN)(masked))
    for training in (False, True):
        same(model, {"steps": batch}, training=training)


def refused(layer: keras.Layer | dict[str, object], config: dict[str, object]) -> Trouble:
    """Return what a file is refused with in which this layer stands with this config."""
    document = json.loads(over(layer, IMAGE).to_json())
    document["config"]["layers"][-1]["config"] |= config
    with pytest.raises(Trouble) as caught:
        parse(json.dumps(document).encode())
    return caught.value


@pytest.mark.parametrize(
    ("layer", "config", "kind", "at"),
    [
        (layers.BatchNormalization(), {"renorm": True}, UnsupportedModel, "/renorm"),
        (layers.BatchNormalization(), {"axis": 0}, Invalid, "/axis"),
        (layers.BatchNormalization(), {"axis": 4}, Invalid, "/axis"),
        (layers.BatchNormalization(), {"axis": [1, 2]}, Invalid, "/axis"),
        (layers.BatchNormalization(), {"epsilon": -1}, Invalid, "/epsilon"),
        (layers.BatchNormalization(), {"epsilon": "small"}, Invalid, "/epsilon"),
        (layers.GroupNormalization(2), {"groups": 4}, Invalid, "/groups"),
        (layers.GroupNormalization(2), {"groups": 0}, Invalid, "/groups"),
        (layers.LayerNormalization(), {"axis": [3, 3]}, Invalid, "/axis"),
        (layers.LayerNormalization(), {"axis": []}, Invalid, "/axis"),
        (layers.UnitNormalization(), {"axis": [0]}, Invalid, "/axis"),
    ],
)
def test_normalizations_that_cannot_be_had_are_refused_at_the_field(
    layer: keras.Layer, config: dict[str, object], kind: type[Trouble], at: str
) -> None:
    problem = refused(layer, config)
    assert isinstance(problem, kind)
    assert problem.pointer == f"/config/layers/2/config{at}"


def test_an_older_file_names_the_axis_in_a_list() -> None:
    layer = {"class_name": "BatchNormalization", "config": {"name": "b", "axis": [3], "momentum": 0.99}}
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 5, 4, 6], "name": "in"}}
    document = {"class_name": "Sequential", "config": {"layers": [first, layer]}, "keras_version": "2.12.0"}
    description = parse(json.dumps(document).encode())
    assert description.weights() == 12
