"""Keras's layers before a model."""

import json
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers

from service.contract.problem import Invalid, Trouble, UnsupportedModel
from service.descriptions import parse
from service.keras import Description
from service.keras.layers.preprocessing import AUGMENTATIONS
from service.keras.making import PROGRAMS
from tests.keras.real import described, same
from worker.load.keras_model import lower
from worker.network.run import Program


def over(*chain: keras.Layer, shape: tuple[int, ...] = (5, 4, 3)) -> keras.Model:
    """Return a model of these layers and a dense one."""
    return keras.Sequential([layers.Input(shape), *chain, layers.Dense(2)])


@pytest.mark.parametrize(
    "layer",
    [
        layers.Rescaling(1 / 255),
        layers.Rescaling(2.0, offset=-1),
        layers.Rescaling([1.0, 2.0, 3.0], offset=[0.5, 0.0, -0.5]),
        layers.Rescaling(np.array([1.0, 2.0, 3.0], "float32")),
        layers.Normalization(mean=1.0, variance=4.0),
        layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 0.0]),
        layers.Normalization(axis=(1, 3), mean=np.ones((5, 3)), variance=np.full((5, 3), 2.0)),
        layers.Normalization(axis=(1, 3), mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 2.0]),
        layers.Normalization(axis=None, mean=1.0, variance=4.0),
        layers.Normalization(mean=1.0, variance=4.0, invert=True),
    ],
    ids=lambda layer: layer.name,
)
def test_scaling_is_kerass(layer: keras.Layer) -> None:
    same(over(layer))


@pytest.mark.parametrize("axis", [-1, (1, 3), None])
def test_a_normalization_whose_numbers_are_not_in_the_file_is_adapted_to_the_batch(axis: Any) -> None:  # noqa: ANN401  what Keras takes
    data = np.random.default_rng(0).normal(3, 7, (16, 5, 4, 3)).astype("float32")
    layer = layers.Normalization(axis=axis, name="n")
    layer.adapt(data)
    model = keras.Sequential([layers.Input((5, 4, 3), name="x"), layer])
    found = parse(model.to_json().encode())
    assert isinstance(found, Description)
    assert "as if adapted to the batch" in found.notes[0]
    given = Program(lower(found, seed=0)).run({"x": torch.tensor(data)})["n"]
    torch.testing.assert_close(given, model(data), rtol=1e-4, atol=1e-4)


def test_what_undoes_a_normalization_needs_its_numbers() -> None:
    with pytest.raises(UnsupportedModel) as caught:
        parse(over(layers.Normalization(name="n", invert=True)).to_json().encode())
    assert caught.value.pointer == "/config/layers/1/config/mean"


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_passes_inputs_on_and_says_so(name: str) -> None:
    given: dict[str, Any] = {
        "RandomFlip": {}, "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
        "RandomZoom": {"height_factor": 0.1}, "RandomColorJitter": {"brightness_factor": 0.1},
        "RandAugment": {}, "AugMix": {}, "CutMix": {}, "MixUp": {}, "RandomGaussianBlur": {}, "RandomErasing": {},
        "RandomPerspective": {}, "RandomShear": {"x_factor": 0.1}, "RandomInvert": {}, "RandomGrayscale": {},
        "RandomElasticTransform": {},
    }.get(name, {"factor": 2 if name == "RandomPosterization" else 0.5})  # fmt: skip
    model = over(getattr(layers, name)(**given, name="augment"))
    same(model)
    assert f"The augmentation 'augment' ({name}) is left out: inputs pass it as they are." in described(model).notes


@pytest.mark.parametrize("kind", sorted(PROGRAMS))
def test_layers_that_are_programs_are_refused_with_what_to_do(kind: str) -> None:
    document = json.loads(over().to_json())
    document["config"]["layers"].insert(1, {"class_name": kind, "config": {"name": "odd"}})
    with pytest.raises(UnsupportedModel) as caught:
        parse(json.dumps(document).encode())
    assert caught.value.pointer == "/config/layers/1/class_name"
    assert kind in caught.value.detail
    assert ";" in caught.value.detail


@pytest.mark.parametrize(
    ("layer", "config", "field"),
    [
        (layers.Rescaling(2.0), {"scale": [1, 2]}, "scale"),
        (layers.Rescaling(2.0), {"scale": "much"}, "scale"),
        (layers.Rescaling(2.0), {"offset": [[1], [1, 2]]}, "offset"),
        (layers.Rescaling(2.0), {"offset": None}, "offset"),
        (layers.Normalization(mean=1.0, variance=4.0), {"axis": 0}, "axis"),
        (layers.Normalization(mean=1.0, variance=4.0), {"mean": [1, 2]}, "mean"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_at_the_field(
    layer: keras.Layer, config: dict[str, Any], field: str
) -> None:
    document = json.loads(over(layer).to_json())
    document["config"]["layers"][1]["config"] |= config
    with pytest.raises(Trouble) as caught:
        parse(json.dumps(document).encode())
    assert isinstance(caught.value, Invalid)
    assert caught.value.pointer == f"/config/layers/1/config/{field}"
