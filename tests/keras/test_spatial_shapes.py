"""Shapes on paper are those that Keras computes, for any options; what Keras refuses is refused."""

import json
from typing import Any

import keras
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from service.contract.problem import Trouble
from service.descriptions import parse
from service.keras import Description
from tests.keras.one_layer import older
from worker.load.keras_model import lower
from worker.network.run import Program

SMALL = st.integers(1, 4)
EDGES = st.sampled_from(["valid", "same"])
LAYOUTS = st.sampled_from(["channels_last", "channels_first"])
CONVOLUTION = {"filters": st.just(4), "kernel_size": SMALL, "strides": SMALL, "padding": EDGES, "dilation_rate": SMALL}
DEPTH = {name: each for name, each in CONVOLUTION.items() if name != "filters"} | {"depth_multiplier": SMALL}
POOL = {"pool_size": SMALL, "strides": st.none() | SMALL, "padding": EDGES}
KINDS: dict[type[keras.Layer], dict[str, st.SearchStrategy[Any]]] = {
    layers.Conv2D: {**CONVOLUTION, "groups": st.sampled_from([1, 2, 4])},
    layers.Conv2DTranspose: {**CONVOLUTION, "output_padding": st.none() | st.integers(0, 4)},
    layers.DepthwiseConv2D: DEPTH,
    layers.SeparableConv2D: {**DEPTH, "filters": st.just(3)},
    layers.MaxPooling2D: POOL,
    layers.AveragePooling2D: POOL,
    layers.ZeroPadding2D: {"padding": st.integers(0, 3) | st.tuples(SMALL, st.tuples(SMALL, SMALL))},
    layers.Cropping2D: {"cropping": st.integers(0, 5) | st.tuples(SMALL, SMALL)},
    layers.UpSampling2D: {"size": st.tuples(SMALL, SMALL)},
    layers.GlobalMaxPooling2D: {"keepdims": st.booleans()},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_shapes_and_refusals_are_kerass(kind: type[keras.Layer], data: st.DataObject) -> None:
    config = {name: data.draw(each, name) for name, each in KINDS[kind].items()}
    config["data_format"] = data.draw(LAYOUTS, "data_format")
    sizes = (data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    shape = (*sizes, 4) if config["data_format"] == "channels_last" else (4, *sizes)
    text = older(kind.__name__, json.loads(json.dumps(config)), shape).encode()
    try:
        expected = kind(**config).compute_output_shape((None, *shape))
    except ValueError:
        expected = None
    if expected is None or 0 in expected:
        with pytest.raises(Trouble):
            parse(text)
        return
    found = parse(text)
    assert isinstance(found, Description)
    assert found.model.outputs(found.call(), "") == (tuple(expected[1:]),)
    graph = lower(found, seed=0)
    assert Program(graph).run({"image": torch.zeros(2, *shape)})[graph.outputs[0]].shape == (2, *expected[1:])


ODD = st.sampled_from(
    [None, True, 0, 1, 3, -1, 2.5, 10**9, 10**18, "", "same", "SAME", "relu", [], [3], [1, 2], [[1, 2], [0, 1]], [0, 3],
     [2, 2, 2], {}, {"class_name": "L2", "config": {"l2": 0.1}}, {"class_name": "Zeros", "config": {}}]
)  # fmt: skip
FIELDS = st.sampled_from([
    "filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias", "data_format",
    "kernel_initializer", "kernel_regularizer", "depth_multiplier", "output_padding", "pool_size", "size", "cropping",
    "interpolation", "output_size", "keepdims", "height", "width", "antialias", "fill_value",
])  # fmt: skip
NAMES = ["Conv1D", "Conv2D", "Conv3DTranspose", "DepthwiseConv2D", "SeparableConv1D", "MaxPooling2D", "UpSampling2D"]
NAMES += ["ZeroPadding2D", "ZeroPadding1D", "Cropping3D", "Resizing", "CenterCrop", "AdaptiveMaxPooling2D"]


@given(
    st.sampled_from(NAMES),
    st.dictionaries(FIELDS, ODD, max_size=6),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
@settings(deadline=None)
def test_any_config_is_a_layer_or_a_trouble(kind: str, config: dict[str, Any], shape: list[int]) -> None:
    try:
        found = parse(older(kind, config, tuple(shape)).encode())
    except Trouble as trouble:
        assert (trouble.pointer or "").startswith("/config/layers")  # noqa: PT017  the claim is that nothing else is raised
    else:
        assert found.weights() >= 0
