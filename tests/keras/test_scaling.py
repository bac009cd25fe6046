"""Layers that keras.applications brings along."""

import keras
import pytest
from keras import layers
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from service.contract.problem import Invalid
from service.descriptions import parse
from tests.keras.real import same


def test_a_scale_per_feature_is_kerass() -> None:
    scale = LayerScale(0.1, 6, name="scale")
    model = keras.Sequential([layers.Input((4, 5)), layers.Dense(6), scale])
    graph = same(model, names={"scale.gamma": scale.gamma.name})
    assert graph.parameters["scale.gamma"].value.shape == (6,)


def test_a_scaled_sum_is_kerass() -> None:
    given = keras.Input((4, 5))
    same(keras.Model(given, CustomScaleLayer(0.17)([given, layers.Dense(5)(given)])))


def test_numbers_that_do_not_fit_are_refused() -> None:
    model = keras.Sequential([layers.Input((4, 5)), LayerScale(0.1, 5)])
    with pytest.raises(Invalid) as caught:
        parse(model.to_json().replace('"projection_dim": 5', '"projection_dim": 6').encode())
    assert caught.value.pointer == "/config/layers/1/config/projection_dim"
