"""Pooling beside Keras's own, and, where its backends differ, beside TensorFlow's documented rule."""

import itertools
from collections.abc import Iterator
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


def chain(layer: keras.Layer, axes: int, layout: str) -> keras.Sequential:
    """Return a layer behind a dense one, whose weights the gradient reaches through it."""
    shape = (*SIZES[axes], 4) if layout == "channels_last" else (4, *SIZES[axes])
    return keras.Sequential([layers.Input(shape), layers.Dense(shape[-1]), layer])


def of(name: str, axes: int) -> type[keras.Layer]:
    """Return a class of layer by its name without the number of axes."""
    kind: type[keras.Layer] = getattr(layers, f"{name}{axes}D")
    return kind


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("size", "strides"), [(2, None), (3, 1), (3, 2), (2, 3), (4, 2), (5, 4)])
def test_max_pooling_is_kerass(axes: int, size: int, strides: int | None, padding: str, layout: str) -> None:
    same(chain(of("MaxPooling", axes)(size, strides, padding, layout), axes, layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("size", "strides"), [(2, None), (3, 1), (3, 2), (2, 3), (4, 2)])
def test_average_pooling_is_kerass(axes: int, size: int, strides: int | None, layout: str) -> None:
    same(chain(of("AveragePooling", axes)(size, strides, "valid", layout), axes, layout))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_padding_that_is_alike_on_both_sides_does_not_count_in_kerass_means(axes: int) -> None:
    same(chain(of("AveragePooling", axes)(3, 1, "same"), axes, "channels_last"))


@pytest.mark.parametrize(("size", "strides"), [*itertools.product((2, 3, 4, 5), (1, 2, 3))])
def test_padding_never_counts_in_means(size: int, strides: int) -> None:
    """TensorFlow's and JAX's rule; Keras on torch pads an odd side with copies of the edge, and counts them."""
    model = keras.Sequential([layers.Input((9, 8, 4), name="x"), layers.AveragePooling2D(size, strides, "same")])
    graph = lower(described(model), seed=0)
    batch = drawn(graph)["x"]
    found = Program(graph).run({"x": torch.as_tensor(batch)})[graph.outputs[0]].numpy()
    np.testing.assert_allclose(found, means(batch, size, strides), rtol=1e-5, atol=1e-6)


def means(batch: NDArray[Any], size: int, strides: int) -> NDArray[Any]:
    """Return the means of the windows that "same" padding gives, of the numbers within the image alone."""

    def slices(length: int) -> Iterator[slice]:
        count = -(-length // strides)
        before = max((count - 1) * strides + size - length, 0) // 2
        for index in range(count):
            yield slice(max(index * strides - before, 0), index * strides - before + size)

    rows = [
        np.stack([batch[:, high, wide].mean((1, 2)) for wide in slices(batch.shape[2])], 1)
        for high in slices(batch.shape[1])
    ]
    return np.stack(rows, 1)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("wanted", [1, 2, 3, 4, 5])
def test_adaptive_pooling_is_kerass(axes: int, wanted: int, layout: str) -> None:
    for name in ("AdaptiveAveragePooling", "AdaptiveMaxPooling"):
        same(chain(of(name, axes)(wanted, data_format=layout), axes, layout))


def test_adaptive_pooling_takes_a_size_per_axis() -> None:
    same(chain(layers.AdaptiveAveragePooling2D((3, 4)), 2, "channels_last"))
    same(chain(layers.AdaptiveMaxPooling3D((5, 1, 4)), 3, "channels_last"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling_is_kerass(axes: int, keepdims: bool, layout: str) -> None:  # noqa: FBT001  a parameter of pytest's
    for name in ("GlobalAveragePooling", "GlobalMaxPooling"):
        same(chain(of(name, axes)(layout, keepdims=keepdims), axes, layout))


@pytest.mark.parametrize("keepdims", [False, True])
def test_a_mean_over_time_leaves_masked_steps_out(keepdims: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    stack = [
        layers.Input((6, 3), name="x"),
        layers.Masking(),
        layers.Dense(4),
        layers.GlobalAveragePooling1D(keepdims=keepdims),
    ]
    batch = np.random.default_rng(0).standard_normal((5, 6, 3)).astype(np.float32)
    batch[:, 4:] = 0
    batch[0, 1] = 0
    same(keras.Sequential(stack), {"x": batch})


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_pooling_by_keras_ops_is_kerass(axes: int) -> None:
    given = keras.Input((*SIZES[axes], 4))
    hidden = layers.Dense(4)(given)
    pooled = [
        ops.max_pool(hidden, 2),
        ops.max_pool(hidden, (3,) * axes, 2, "same"),
        ops.average_pool(hidden, 3, 1, "same"),
        ops.average_pool(hidden, 2, (3,) * axes, data_format="channels_first"),
    ]
    same(keras.Model(given, pooled))


@pytest.mark.parametrize(
    ("layer", "config", "pointer", "told"),
    [
        (layers.MaxPooling2D(), {"pool_size": [2, 2, 2]}, "/config/pool_size", "one for each of 2 axes"),
        (layers.MaxPooling2D(), {"strides": 0}, "/config/strides", "from 1"),
        (layers.MaxPooling2D(), {"padding": "causal"}, "/config/padding", "'valid' or 'same'"),
        (layers.AveragePooling2D(9), {}, "/config", "A window of 9 does not fit into a size of 8"),
        (layers.MaxPooling1D(), {}, "", "takes 3 axes"),
        (layers.GlobalMaxPooling3D(), {}, "", "takes 5 axes"),
        (layers.AdaptiveMaxPooling2D(2), {"output_size": [0, 2]}, "/config/output_size", "from 1"),
    ],
)
def test_what_keras_could_not_build_is_refused_at_its_place(
    layer: keras.Layer, config: dict[str, Any], pointer: str, told: str
) -> None:
    place, detail = refused(layer, config)
    assert place == pointer
    assert told in detail


@pytest.mark.parametrize(
    ("layer", "config"),
    [
        (layers.MaxPooling2D(3, 2, "same"), {"pool_size": [3, 3], "padding": "same", "strides": [2, 2]}),
        (layers.AveragePooling2D(2), {"pool_size": [2, 2], "padding": "valid", "strides": [2, 2]}),
        (layers.GlobalAveragePooling2D(), {"keepdims": False}),
        (layers.GlobalMaxPooling2D(), {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else "",
)
def test_files_of_tf_keras_2_are_read_alike(layer: keras.Layer, config: dict[str, Any]) -> None:
    text = older(type(layer).__name__, {**config, "data_format": "channels_last", "dtype": "float32"})
    same(keras.Sequential([layers.Input((9, 8, 4)), layer]), text=text)
