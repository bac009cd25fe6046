"""Files with one layer behind an input."""

import json
from typing import Any

import keras
import pytest

from service.contract.problem import Trouble
from service.descriptions import parse


def older(kind: str, config: dict[str, Any], shape: tuple[int, ...] = (9, 8, 4)) -> str:
    """Return a file of tf.keras 2 whose only layer, "c", has this config."""
    given = {"batch_input_shape": [None, *shape], "dtype": "float32", "name": "image"}
    stack = [{"class_name": "InputLayer", "config": given}, {"class_name": kind, "config": {"name": "c", **config}}]
    whole = {"name": "sequential", "layers": stack}
    return json.dumps({"class_name": "Sequential", "config": whole, "keras_version": "2.11.0"})


def refused(layer: keras.Layer, config: dict[str, Any], shape: tuple[int, ...] = (9, 8, 4)) -> tuple[str, str]:
    """Return where and why a layer with changes to its config is refused; the place begins below the layer's."""
    text = older(type(layer).__name__, {**layer.get_config(), **config}, shape)
    with pytest.raises(Trouble) as caught:
        parse(text.encode())
    place = caught.value.pointer or ""
    assert place.startswith("/config/layers/1")
    return place.removeprefix("/config/layers/1"), caught.value.detail
