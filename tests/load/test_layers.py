"""Layers without a memory, against torch.nn with the same weights."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.load.described import IMAGE, SEQUENCE, VECTOR, build, channels_first, compute, draw, fill


def test_dense_is_torchs_linear_with_the_kernel_transposed() -> None:
    for shape in (VECTOR, SEQUENCE):
        graph = build([{"kind": "dense", "units": 3, "name": "fc"}], shape)
        weights = {
            "weight": graph.parameters["fc.kernel"].value.T,
            "bias": graph.parameters["fc.bias"].value,
        }
        module = fill(nn.Linear(shape[-1], 3), weights)
        torch.testing.assert_close(compute(graph, draw(shape)), module(draw(shape)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kernel": 3, "padding": "same"}, nn.Conv2d(4, 6, 3, padding="same")),
        ({"kernel": 3, "padding": "same", "dilation": 2}, nn.Conv2d(4, 6, 3, padding="same", dilation=2)),
        ({"kernel": [3, 2], "padding": "same"}, nn.Conv2d(4, 6, (3, 2), padding="same")),
        ({"kernel": 3, "stride": [2, 1], "padding": 1}, nn.Conv2d(4, 6, 3, stride=(2, 1), padding=1)),
        ({"kernel": 3, "groups": 2}, nn.Conv2d(4, 6, 3, groups=2)),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_conv2d_is_torchs(layer: dict[str, Any], module: nn.Conv2d) -> None:
    graph = build([{"kind": "conv2d", "filters": 6, "name": "c", **layer}], IMAGE)
    weights = {"weight": graph.parameters["c.kernel"].value, "bias": graph.parameters["c.bias"].value}
    expected = fill(module, weights)(draw(IMAGE))
    torch.testing.assert_close(compute(graph, draw(IMAGE)), expected, rtol=1e-5, atol=1e-5)


def test_conv1d_is_torchs_over_time() -> None:
    graph = build([{"kind": "conv1d", "filters": 6, "kernel": 3, "stride": 2, "padding": 1, "name": "c"}], SEQUENCE)
    weights = {"weight": graph.parameters["c.kernel"].value, "bias": graph.parameters["c.bias"].value}
    module = channels_first(fill(nn.Conv1d(8, 6, 3, stride=2, padding=1), weights))
    torch.testing.assert_close(compute(graph, draw(SEQUENCE)), module(draw(SEQUENCE)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [VECTOR, SEQUENCE, IMAGE])
@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kind": "relu"}, nn.ReLU()),
        ({"kind": "relu6"}, nn.ReLU6()),
        ({"kind": "selu"}, nn.SELU()),
        ({"kind": "silu"}, nn.SiLU()),
        ({"kind": "mish"}, nn.Mish()),
        ({"kind": "tanh"}, nn.Tanh()),
        ({"kind": "sigmoid"}, nn.Sigmoid()),
        ({"kind": "hard_sigmoid"}, nn.Hardsigmoid()),
        ({"kind": "hard_swish"}, nn.Hardswish()),
        ({"kind": "softplus"}, nn.Softplus()),
        ({"kind": "softsign"}, nn.Softsign()),
        ({"kind": "leaky_relu"}, nn.LeakyReLU()),
        ({"kind": "leaky_relu", "alpha": 0.3}, nn.LeakyReLU(0.3)),
        ({"kind": "elu", "alpha": 0.7}, nn.ELU(0.7)),
        ({"kind": "gelu"}, nn.GELU()),
        ({"kind": "gelu", "approximate": "tanh"}, nn.GELU("tanh")),
        ({"kind": "prelu"}, nn.PReLU()),
        ({"kind": "flatten"}, nn.Flatten()),
        ({"kind": "dropout", "rate": 0.5}, nn.Identity()),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_activations_are_torchs(layer: dict[str, Any], module: nn.Module, shape: tuple[int, ...]) -> None:
    value = 4 * draw(shape)
    torch.testing.assert_close(compute(build([layer], shape), value), module(value), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "axis"), [(VECTOR, 1), (SEQUENCE, 2), (IMAGE, 1)])
def test_softmax_sums_over_the_channels(shape: tuple[int, ...], axis: int) -> None:
    value = draw(shape)
    torch.testing.assert_close(compute(build([{"kind": "softmax"}], shape), value), value.softmax(axis))
    torch.testing.assert_close(compute(build([{"kind": "log_softmax"}], shape), value), value.log_softmax(axis))


@pytest.mark.parametrize("training", [True, False])
def test_normalizations_are_torchs_in_both_modes(training: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    cases = [
        ({"kind": "batch_norm"}, VECTOR, nn.BatchNorm1d(6).train(training)),
        ({"kind": "batch_norm"}, SEQUENCE, channels_first(nn.BatchNorm1d(8).train(training))),
        ({"kind": "batch_norm", "epsilon": 0.1}, IMAGE, nn.BatchNorm2d(4, eps=0.1).train(training)),
        ({"kind": "layer_norm"}, SEQUENCE, nn.LayerNorm(8)),
        ({"kind": "layer_norm"}, IMAGE, nn.LayerNorm(IMAGE)),
        ({"kind": "rms_norm"}, SEQUENCE, nn.RMSNorm(8, eps=1e-6)),
        ({"kind": "rms_norm"}, IMAGE, nn.RMSNorm(IMAGE, eps=1e-6)),
        ({"kind": "group_norm", "groups": 2}, VECTOR, nn.GroupNorm(2, 6)),
        ({"kind": "group_norm", "groups": 2}, SEQUENCE, channels_first(nn.GroupNorm(2, 8))),
        ({"kind": "group_norm", "groups": 2}, IMAGE, nn.GroupNorm(2, 4)),
        ({"kind": "instance_norm"}, SEQUENCE, channels_first(nn.InstanceNorm1d(8))),
        ({"kind": "instance_norm"}, IMAGE, nn.InstanceNorm2d(4)),
    ]
    for layer, shape, module in cases:
        value = 3 * draw(shape) + 1
        given = compute(build([layer], shape), value, training=training)
        torch.testing.assert_close(given, module(value), rtol=1e-4, atol=1e-5, msg=f"{layer} on {shape}")


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ({"kind": "max_pool2d"}, nn.MaxPool2d(2)),
        ({"kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1}, nn.MaxPool2d(3, 2, 1)),
        ({"kind": "avg_pool2d", "kernel": [3, 2]}, nn.AvgPool2d((3, 2))),
        ({"kind": "avg_pool2d", "kernel": 3, "padding": 1}, nn.AvgPool2d(3, padding=1, count_include_pad=False)),
        ({"kind": "global_avg_pool"}, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())),
        ({"kind": "global_max_pool"}, nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())),
    ],
)
def test_pooling_is_torchs(layer: dict[str, Any], module: nn.Module) -> None:
    torch.testing.assert_close(compute(build([layer], IMAGE), draw(IMAGE)), module(draw(IMAGE)), rtol=1e-5, atol=1e-6)
