"""Convolutions beside Keras's own: every option, in both layouts."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, regularizers

from tests.keras.one_layer import older, refused
from tests.keras.real import described, same
from worker.load.keras_model import lower
from worker.network.graph import Penalty

CONVS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
TRANSPOSES = {1: layers.Conv1DTranspose, 2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
DEPTHWISE = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D}
SEPARABLE = {1: layers.SeparableConv1D, 2: layers.SeparableConv2D}
SIZES = {1: (9,), 2: (9, 8), 3: (5, 6, 7)}
LAYOUTS = ["channels_last", "channels_first"]


def chain(*stack: keras.Layer, axes: int, layout: str = "channels_last") -> keras.Sequential:
    """Return the layers behind an input with four channels."""
    shape = (*SIZES[axes], 4) if layout == "channels_last" else (4, *SIZES[axes])
    return keras.Sequential([layers.Input(shape), *stack])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": 2, "activation": "relu"},
        {"kernel_size": 4, "strides": 2, "use_bias": False},
        {"kernel_size": 3, "strides": 3, "groups": 2, "bias_initializer": "ones"},
        {"kernel_size": 1, "strides": 2, "activation": "softmax", "use_bias": False},
        {"kernel_size": 2, "dilation_rate": 2, "groups": 4, "kernel_initializer": "he_normal"},
    ],
    ids=lambda options: "-".join(str(each) for each in options.values()),
)
def test_convolutions_are_kerass(axes: int, options: dict[str, Any], padding: str, layout: str) -> None:
    layer = CONVS[axes](8, padding=padding, data_format=layout, **options)
    same(chain(layer, axes=axes, layout=layout))


@pytest.mark.parametrize(("dilation", "stride"), [(1, 1), (2, 1), (3, 1), (1, 2)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_causal_convolutions_are_kerass(dilation: int, stride: int, layout: str) -> None:
    layer = layers.Conv1D(5, 3, stride, "causal", layout, dilation_rate=dilation, activation="tanh")
    same(chain(layer, axes=1, layout=layout))


def test_sizes_may_differ_between_axes() -> None:
    same(chain(layers.Conv2D(5, (3, 1), (1, 2), "same"), axes=2))
    same(chain(layers.Conv2D(5, (1, 4), dilation_rate=(3, 1)), axes=2))
    same(chain(layers.Conv2DTranspose(5, (3, 1), (1, 2), "same"), axes=2))


@pytest.mark.parametrize(
    ("axes", "layout", "padding"),
    [(axes, "channels_last", padding) for axes in (1, 2, 3) for padding in ("valid", "same")]
    + [(2, "channels_first", padding) for padding in ("valid", "same")],
)
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "added"),
    [
        *((kernel, stride, 1, None) for kernel, stride in itertools.product((1, 2, 3, 4), (1, 2, 3))),
        *((3, 1, dilation, None) for dilation in (2, 3)),
        *((kernel, 3, 1, added) for kernel in (2, 3, 5) for added in (0, 1, 2)),
    ],
)
def test_transposed_convolutions_are_kerass(  # noqa: PLR0917  parameters of pytest's
    axes: int, layout: str, padding: str, kernel: int, stride: int, dilation: int, added: int | None
) -> None:
    layer = TRANSPOSES[axes](
        6, kernel, stride, padding, output_padding=added, data_format=layout, dilation_rate=dilation
    )
    same(chain(layer, axes=axes, layout=layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": 2, "strides": 2, "depth_multiplier": 3, "use_bias": False},
        {"kernel_size": 3, "dilation_rate": 2, "depth_multiplier": 2, "activation": "relu"},
    ],
    ids=lambda options: "-".join(str(each) for each in options.values()),
)
def test_depthwise_and_separable_convolutions_are_kerass(
    axes: int, options: dict[str, Any], padding: str, layout: str
) -> None:
    shared = {"padding": padding, "data_format": layout, "bias_initializer": "ones", **options}
    same(chain(DEPTHWISE[axes](depthwise_initializer="he_uniform", **shared), axes=axes, layout=layout))
    same(chain(SEPARABLE[axes](5, pointwise_initializer="he_uniform", **shared), axes=axes, layout=layout))


@pytest.mark.parametrize("size", [6, 7, 9])
def test_sizes_that_the_file_leaves_open_are_padded_as_they_come(size: int) -> None:
    stack = [
        layers.Input((None, None, 3), name="image"),
        layers.Conv2D(4, 3, strides=2, padding="same"),
        layers.DepthwiseConv2D(4, padding="same"),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same"),
        layers.SeparableConv2D(3, 2, strides=3, padding="same"),
        layers.MaxPooling2D(2, 2, "same"),
        layers.UpSampling2D(2, interpolation="bilinear"),
    ]
    image = np.random.default_rng(0).standard_normal((2, size, size + 2, 3)).astype(np.float32)
    same(keras.Sequential(stack), {"image": image})


def test_each_kernel_is_drawn_with_the_fans_that_keras_counts() -> None:
    """The spread of a kernel is that of Keras's own draw."""
    shared: dict[str, Any] = {"kernel_size": 5, "use_bias": False}
    pairs = [
        (layers.Conv2D(300, kernel_initializer="he_normal", **shared), "kernel"),
        (layers.Conv2D(300, groups=4, kernel_initializer="he_normal", **shared), "kernel"),
        (layers.Conv2DTranspose(300, kernel_initializer="he_normal", **shared), "kernel"),
        (layers.DepthwiseConv2D(depthwise_initializer="he_normal", depth_multiplier=200, **shared), "kernel"),
        (
            layers.SeparableConv2D(400, pointwise_initializer="he_normal", depth_multiplier=40, **shared),
            "pointwise_kernel",
        ),
    ]
    for layer, role in pairs:
        model = chain(layer, axes=2)
        ours = lower(described(model), seed=0).parameters[f"{layer.name}.{role}"].value
        theirs = keras.ops.convert_to_numpy(getattr(layer, role))
        assert ours.numel() == theirs.size
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.03)


def test_penalties_of_all_kernels_reach_the_loss() -> None:
    small, large = regularizers.L1(0.25), regularizers.L2(0.5)
    stack = [
        layers.Conv1D(4, 3, kernel_regularizer=large, bias_regularizer=small, name="a"),
        layers.DepthwiseConv1D(3, depthwise_regularizer=small, name="b"),
        layers.SeparableConv1D(3, 1, depthwise_regularizer=small, pointwise_regularizer=large, name="c"),
        layers.Conv1DTranspose(2, 3, kernel_regularizer=regularizers.L1L2(0.25, 0.5), name="d"),
    ]
    parameters = lower(described(chain(*stack, axes=1)), seed=0).parameters
    found = {name: each.penalty for name, each in parameters.items() if each.penalty}
    assert found == {
        "a.kernel": Penalty(0, 0.5),
        "a.bias": Penalty(0.25, 0),
        "b.kernel": Penalty(0.25, 0),
        "c.depthwise_kernel": Penalty(0.25, 0),
        "c.pointwise_kernel": Penalty(0, 0.5),
        "d.kernel": Penalty(0.25, 0.5),
    }


GLOROT = {"class_name": "GlorotUniform", "config": {"seed": None}}
ZEROS: dict[str, Any] = {"class_name": "Zeros", "config": {}}
OLDER = {"groups": 1, "kernel_initializer": GLOROT, "bias_initializer": ZEROS, "kernel_regularizer": None}
DEEP = {"depth_multiplier": 2, "depthwise_initializer": GLOROT, "depthwise_constraint": None}


@pytest.mark.parametrize(
    ("layer", "config"),
    [
        (layers.Conv2D(4, 3, 2, "same", name="c"), {"filters": 4, **OLDER}),
        (layers.Conv2DTranspose(4, 3, 2, "same", name="c"), {"filters": 4, "output_padding": None, **OLDER}),
        (layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2, name="c"), {"groups": 1, **DEEP}),
        (
            layers.SeparableConv2D(4, 3, 2, "same", depth_multiplier=2, name="c"),
            {"filters": 4, **OLDER, **DEEP, "pointwise_initializer": GLOROT, "pointwise_regularizer": None},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else "",
)
def test_files_of_tf_keras_2_are_read_alike(layer: keras.Layer, config: dict[str, Any]) -> None:
    """They hold the fields of the class above as well, such as `groups` of a separable convolution."""
    shared = {
        "kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "data_format": "channels_last",
        "dilation_rate": [1, 1], "activation": "linear", "use_bias": True, "bias_regularizer": None,
        "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
    }  # fmt: skip
    same(chain(layer, axes=2), text=older(type(layer).__name__, {**shared, **config}))


@pytest.mark.parametrize(
    ("layer", "config", "pointer", "told"),
    [
        (layers.Conv2D(4, 3), {"kernel_size": [3]}, "/config/kernel_size", "one for each of 2 axes"),
        (layers.Conv2D(4, 3), {"kernel_size": [3, 0]}, "/config/kernel_size", "a whole number from 1 to 65536"),
        (layers.Conv2D(4, 3), {"kernel_size": 20}, "/config", "A window of 20 does not fit into a size of 9"),
        (layers.Conv2D(4, 3), {"padding": "causal"}, "/config/padding", "'valid' or 'same'"),
        (layers.Conv2D(4, 3), {"padding": "full"}, "/config/padding", "full"),
        (layers.Conv2D(4, 3), {"data_format": "last"}, "/config/data_format", "channels_last"),
        (layers.Conv2D(4, 3), {"groups": 3}, "/config/groups", "4 channels do not divide into 3"),
        (layers.Conv2D(4, 3), {"filters": 0}, "/config/filters", "greater than or equal to 1"),
        (layers.Conv2D(4, 3), {"activation": "mine"}, "/config/activation", "'mine' is not Keras's own"),
        (layers.Conv2DTranspose(4, 3), {"output_padding": 1}, "/config/output_padding", "must be smaller"),
        (layers.Conv2D(4, 3), {"dilation_rate": 10_000, "padding": "same"}, "", "the limit is 67108864"),
        (layers.Conv2DTranspose(4, 3), {"dilation_rate": 10_000, "padding": "same"}, "", "the limit is 67108864"),
        (layers.Conv3D(4, 1), {}, "", "takes 5 axes"),
    ],
)
def test_what_keras_could_not_build_is_refused_at_its_place(
    layer: keras.Layer, config: dict[str, Any], pointer: str, told: str
) -> None:
    place, detail = refused(layer, config)
    assert place == pointer
    assert told in detail
