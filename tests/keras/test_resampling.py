"""Upsampling, padding, cropping and resizing beside Keras's own, and the cubic kernel beside TensorFlow's formula."""

from math import floor
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops
from numpy.typing import NDArray

from tests.keras.one_layer import older, refused
from tests.keras.real import described, drawn, same
from worker.load.keras_model import lower
from worker.network.run import Program

SIZES = {1: (9,), 2: (9, 8), 3: (5, 6, 7)}
LAYOUTS = ["channels_last", "channels_first"]


def chain(layer: keras.Layer, axes: int, layout: str = "channels_last") -> keras.Sequential:
    """Return a layer behind a dense one, whose weights the gradient reaches through it."""
    shape = (*SIZES[axes], 4) if layout == "channels_last" else (4, *SIZES[axes])
    return keras.Sequential([layers.Input(shape), layers.Dense(shape[-1]), layer])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_upsampling_of_steps_is_kerass(size: int) -> None:
    same(chain(layers.UpSampling1D(size), 1))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [2, (1, 3), (4, 2)])
def test_upsampling_of_images_is_kerass(size: int | tuple[int, int], interpolation: str, layout: str) -> None:
    same(chain(layers.UpSampling2D(size, layout, interpolation), 2, layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [2, (1, 2, 3)])
def test_upsampling_of_volumes_is_kerass(size: int | tuple[int, int, int], layout: str) -> None:
    same(chain(layers.UpSampling3D(size, layout), 3, layout))


@pytest.mark.parametrize(
    "layer",
    [
        layers.ZeroPadding1D(2),
        layers.ZeroPadding1D((0, 3)),
        layers.ZeroPadding2D(),
        layers.ZeroPadding2D((2, 0)),
        layers.ZeroPadding2D(((1, 0), (2, 3))),
        layers.ZeroPadding3D(1),
        layers.ZeroPadding3D((0, 1, 2)),
        layers.ZeroPadding3D(((1, 0), (2, 3), (0, 1))),
        layers.Cropping1D(1),
        layers.Cropping1D((0, 3)),
        layers.Cropping2D(),
        layers.Cropping2D((2, 0)),
        layers.Cropping2D(((1, 0), (2, 3))),
        layers.Cropping3D(1),
        layers.Cropping3D((0, 1, 2)),
        layers.Cropping3D(((1, 0), (2, 3), (0, 1))),
    ],
    ids=lambda layer: layer.name,
)
def test_padding_and_cropping_are_kerass(layer: keras.Layer) -> None:
    axes = int(type(layer).__name__[-2])
    same(chain(layer, axes))


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (layers.ZeroPadding1D((1, 2), data_format="channels_first"), 1),
        (layers.ZeroPadding2D(((1, 0), (2, 3)), data_format="channels_first"), 2),
        (layers.ZeroPadding3D((0, 1, 2), data_format="channels_first"), 3),
        (layers.Cropping2D(((1, 0), (2, 3)), data_format="channels_first"), 2),
        (layers.Cropping3D((0, 1, 2), data_format="channels_first"), 3),
    ],
)
def test_padding_and_cropping_are_kerass_with_channels_first(layer: keras.Layer, axes: int) -> None:
    same(chain(layer, axes, "channels_first"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(5, 7), (12, 3), (3, 20), (9, 8), (1, 1)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"antialias": True},
        {"interpolation": "nearest"},
        {"interpolation": "bicubic", "antialias": True},
        {"crop_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True, "fill_value": 0.5},
    ],
    ids=lambda options: "-".join(map(str, options.values())) or "plain",
)
def test_resizing_is_kerass(size: tuple[int, int], options: dict[str, Any], layout: str) -> None:
    same(chain(layers.Resizing(*size, data_format=layout, **options), 2, layout))


def test_resizing_by_keras_ops_is_kerass() -> None:
    given = keras.Input((9, 8, 4))
    hidden = layers.Dense(4)(given)
    resized = [
        ops.image.resize(hidden, (4, 11)),
        ops.image.resize(hidden, (4, 11), "nearest", data_format="channels_first"),
        ops.image.resize(hidden, (12, 7), antialias=True, pad_to_aspect_ratio=True),
    ]
    same(keras.Model(given, resized))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(5, 3), (9, 8), (4, 5), (12, 3), (12, 13)])
def test_the_middle_of_images_is_kerass(size: tuple[int, int], layout: str) -> None:
    same(chain(layers.CenterCrop(*size, data_format=layout), 2, layout))


@pytest.mark.parametrize(
    ("layer", "size"),
    [(layers.UpSampling2D(2, interpolation="bicubic"), (18, 16)), (layers.Resizing(5, 11, "bicubic"), (5, 11))],
)
def test_the_cubic_kernel_is_tensorflows(layer: keras.Layer, size: tuple[int, int]) -> None:
    """Keys's with a = -0.5, its weights within the image alone; Keras on torch takes -0.75 and repeats the edge."""
    graph = lower(described(keras.Sequential([layers.Input((9, 8, 4), name="x"), layer])), seed=0)
    batch = drawn(graph)["x"]
    found = Program(graph).run({"x": torch.as_tensor(batch)})[graph.outputs[0]].numpy()
    expected = np.einsum("ih,jw,bhwc->bijc", cubic(9, size[0]), cubic(8, size[1]), batch.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def cubic(before: int, after: int) -> NDArray[np.float64]:
    """Return the weights of each old number in each new one."""

    def weight(distance: float) -> float:
        x = abs(distance)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    matrix = np.zeros((after, before))
    for row in range(after):
        middle = (row + 0.5) * before / after - 0.5
        for place in range(floor(middle) - 1, floor(middle) + 3):
            if 0 <= place < before:
                matrix[row, place] = weight(place - middle)
    return matrix / matrix.sum(1, keepdims=True)


@pytest.mark.parametrize(
    ("layer", "config", "pointer", "told"),
    [
        (layers.UpSampling2D(), {"interpolation": "lanczos3"}, "/config/interpolation", "'lanczos3' is not examined"),
        (layers.UpSampling2D(), {"size": [2]}, "/config/size", "one for each of 2 axes"),
        (layers.UpSampling1D(), {}, "", "takes 3 axes"),
        (layers.ZeroPadding2D(), {"padding": [[1, 2, 3], 1]}, "/config/padding", "one (or two"),
        (layers.ZeroPadding2D(), {"padding": -1}, "/config/padding", "from 0"),
        (layers.Cropping2D(), {"cropping": [[4, 5], 0]}, "/config/cropping", "[0, 8] would be left"),
        (layers.Resizing(3, 3), {"interpolation": "area"}, "/config/interpolation", "'area' is not examined"),
        (layers.Resizing(3, 3), {"height": 0}, "/config/height", "greater than or equal to 1"),
        (
            layers.Resizing(3, 3),
            {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
            "/config/pad_to_aspect_ratio",
            "not both",
        ),
    ],
)
def test_what_keras_could_not_build_is_refused_at_its_place(
    layer: keras.Layer, config: dict[str, Any], pointer: str, told: str
) -> None:
    place, detail = refused(layer, config)
    assert place == pointer
    assert told in detail


PLAIN = {"interpolation": "bilinear", "crop_to_aspect_ratio": False, "height": 4, "width": 5}


@pytest.mark.parametrize(
    ("layer", "config"),
    [
        (layers.UpSampling2D(), {"size": [2, 2], "data_format": "channels_last", "interpolation": "nearest"}),
        (layers.UpSampling2D(interpolation="bilinear"), {"size": [2, 2], "interpolation": "bilinear"}),
        (layers.ZeroPadding2D((1, 2)), {"padding": [[1, 1], [2, 2]], "data_format": "channels_last"}),
        (layers.Cropping2D(1), {"cropping": [[1, 1], [1, 1]], "data_format": "channels_last"}),
        (layers.Resizing(4, 5), PLAIN),
        (layers.CenterCrop(4, 5), {"height": 4, "width": 5}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else "",
)
def test_files_of_tf_keras_2_are_read_alike(layer: keras.Layer, config: dict[str, Any]) -> None:
    text = older(type(layer).__name__, {**config, "dtype": "float32"})
    same(keras.Sequential([layers.Input((9, 8, 4)), layer]), text=text)
