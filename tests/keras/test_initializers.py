"""Initializers as Keras and tf.keras write them, and what is refused."""

import json
from typing import Any

import keras
import pytest
from keras.src.initializers import ALL_OBJECTS_DICT

from service.contract.architecture.laws import AnyLaw, Identity, Normal, Uniform, VarianceScaling
from service.contract.problem import Invalid, UnsupportedModel
from service.keras.initializers import law

UNREAD = {"Initializer", "initializer", "STFT", "STFTInitializer", "stft"}
"""The base of all, and the one that fills in sines."""


def written(name: str) -> Any:  # noqa: ANN401  JSON
    """Return what Keras writes of one of its own initializers."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(ALL_OBJECTS_DICT[name]())))


def made(name: str, /, **config: object) -> AnyLaw:
    """Return the law of a class and its config."""
    return law({"class_name": name, "config": config}, "/at")


@pytest.mark.parametrize("name", sorted(set(ALL_OBJECTS_DICT) - UNREAD))
def test_every_name_of_keras_is_the_object_that_keras_makes_of_it(name: str) -> None:
    assert law(name, "") == law(written(name), "")


def test_the_numbers_that_keras_writes_are_read() -> None:
    assert made("RandomNormal", mean=0.5, stddev=2, seed=7) == Normal(law="normal", mean=0.5, std=2)
    assert made("TruncatedNormal") == Normal(law="truncated_normal", mean=0, std=0.05)
    assert made("RandomUniform", minval=1, maxval=-1, seed=None) == Uniform(law="uniform", low=-1, high=1)
    assert made("Identity", gain=-2) == Identity(law="identity", gain=-2)
    seed = {"class_name": "SeedGenerator", "config": {"seed": 3}}
    scaled = made("VarianceScaling", scale=2, mode="fan_out", distribution="untruncated_normal", seed=seed)
    assert scaled == VarianceScaling(law="variance_scaling", scale=2, mode="fan_out", distribution="normal")


def test_kerass_normal_laws_are_truncated() -> None:
    forms = [made(name).distribution for name in ("GlorotNormal", "HeNormal", "LecunNormal")]  # type: ignore[union-attr]
    assert forms == ["truncated_normal"] * 3
    assert made("VarianceScaling", distribution="normal") == made("VarianceScaling", distribution="truncated_normal")


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        (None, "GlorotUniform"),
        ({"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}}, "glorot_uniform"),
        ({"class_name": "HeNormalV2"}, "he_normal"),
        ({"class_name": "OrthogonalInitializer", "config": None}, "orthogonal"),
        (
            {
                "class_name": "Zeros",
                "module": "keras.initializers",
                "config": {},
                "registered_name": None,
                "shared_object_id": 4,
            },
            "zero",
        ),
        ({"class_name": "Ones", "module": "tf_keras.src.initializers", "config": {}, "registered_name": "Ones"}, "one"),
    ],
)
def test_older_spellings_are_read(spec: Any, same: str) -> None:  # noqa: ANN401  JSON
    assert law(spec, "") == law(same, "")


def test_laws_that_draw_one_number_are_constants() -> None:
    assert made("RandomNormal", mean=0.5, stddev=0) == made("RandomUniform", minval=0.5, maxval=0.5)
    assert made("RandomNormal", mean=0.5, stddev=0) == made("Constant", value=0.5)
    assert made("Orthogonal", gain=0) == made("Zeros")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("my_law", "'my_law'"),
        ("STFT", "'STFT'"),
        ("Initializer", "'Initializer'"),
        ({"class_name": "Mine", "module": "mine", "config": {}, "registered_name": "pack>Mine"}, "'pack>Mine'"),
        ({"class_name": "GlorotUniform", "module": "mine", "config": {}}, "'GlorotUniform'"),
        ({"class_name": "function", "config": "my_law", "registered_name": "function"}, "'my_law'"),
        ({"class_name": "__lambda__", "config": {"value": ["4wEA", None, None]}}, "'__lambda__'"),
        ({"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}}, "'__tensor__'"),
    ],
)
def test_what_is_not_kerass_own_is_refused_by_name(spec: Any, name: str) -> None:  # noqa: ANN401  JSON
    with pytest.raises(UnsupportedModel) as caught:
        law(spec, "/config/kernel_initializer")
    assert name in caught.value.detail
    assert caught.value.pointer == "/config/kernel_initializer"


@pytest.mark.parametrize(
    ("spec", "pointer", "words"),
    [
        (3, "", "it is 3"),
        ({"config": {}}, "", "class_name"),
        ({"class_name": "Zeros", "config": []}, "/config", "not an object"),
        ({"class_name": "RandomNormal", "config": {"stddev": -1}}, "/config/stddev", "from 0 on"),
        ({"class_name": "RandomNormal", "config": {"mean": 1e9}}, "/config/mean", "within"),
        ({"class_name": "RandomNormal", "config": {"mean": float("nan")}}, "/config/mean", "within"),
        ({"class_name": "RandomNormal", "config": {"mean": True}}, "/config/mean", "within"),
        ({"class_name": "RandomUniform", "config": {"maxval": None}}, "/config/maxval", "within"),
        ({"class_name": "Constant", "config": {"value": [1, 2]}}, "/config/value", "within"),
        ({"class_name": "VarianceScaling", "config": {"scale": 0}}, "/config/scale", "above 0"),
        ({"class_name": "VarianceScaling", "config": {"mode": "fan"}}, "/config/mode", "fan_avg"),
        ({"class_name": "VarianceScaling", "config": {"distribution": 1}}, "/config/distribution", "uniform"),
        ({"class_name": "HeNormal", "config": {"input_axes": [0.5]}}, "/config/input_axes", "a list of axes"),
    ],
)
def test_a_value_that_breaks_its_form_is_refused_where_it_stands(spec: Any, pointer: str, words: str) -> None:  # noqa: ANN401  JSON
    with pytest.raises(Invalid, match=words) as caught:
        law(spec, "/at")
    assert caught.value.pointer == f"/at{pointer}"


def test_a_field_that_keras_does_not_have_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="'spread'") as caught:
        made("RandomNormal", spread=2)
    assert caught.value.pointer == "/at/config/spread"
