"""onnxruntime's convolutions, against onnxruntime; those it has no kernel for, against the layout it has."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.problem import UnsupportedOperator

Oracle = Callable[..., float]
Gradients = Callable[..., None]
Ours = Callable[..., list[Tensor]]
ACTIVATIONS: list[tuple[str, tuple[float, ...]]] = [
    ("Relu", ()),
    ("Tanh", ()),
    ("Sigmoid", ()),
    ("LeakyRelu", (0.2,)),
    ("Clip", (-0.5, 0.7)),
    ("HardSigmoid", (0.3, 0.4)),
]
WINDOWS: list[Mapping[str, Any]] = [
    {},
    {"pads": (1, 0, 2, 1), "strides": (2, 1)},
    {"dilations": (1, 2), "group": 2},
    {"auto_pad": "SAME_UPPER", "strides": (2, 2)},
]


@pytest.mark.parametrize(("activation", "numbers"), ACTIVATIONS)
@pytest.mark.parametrize("added", [False, True])
def test_an_activation_follows_the_convolution(
    oracle: Oracle, gradients: Gradients, activation: str, numbers: tuple[float, ...], *, added: bool
) -> None:
    inputs = (torch.randn(2, 4, 5, 6), torch.randn(3, 4, 3, 3), torch.randn(3))
    extra = (torch.randn(2, 3, 3, 4),) if added else ()
    given = {"activation": activation} | ({"activation_params": numbers} if numbers else {})
    oracle("FusedConv", *inputs, *extra, **given)
    gradients("FusedConv", *inputs, *extra, **given)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_fused_convolution_slides_as_any(oracle: Oracle, gradients: Gradients, window: Mapping[str, Any]) -> None:
    inputs = (torch.randn(2, 4, 7, 8), torch.randn(6, 4 // window.get("group", 1), 3, 2), None)
    oracle("FusedConv", *inputs, activation="Relu", kernel_shape=(3, 2), **window)
    gradients("FusedConv", *inputs, activation="Tanh", kernel_shape=(3, 2), **window)


@pytest.mark.parametrize("window", WINDOWS)
def test_channels_may_come_last(ours: Ours, gradients: Gradients, window: Mapping[str, Any]) -> None:
    x, weight, bias = torch.randn(2, 7, 8, 4), torch.randn(6, 4 // window.get("group", 1), 3, 2), torch.randn(6)
    first = ours("FusedConv", x.movedim(-1, 1), weight, bias, **window)[0]
    added = torch.randn(first.shape)
    torch.testing.assert_close(ours("NhwcConv", x, weight, bias, **window)[0], first.movedim(1, -1))
    (fused,) = ours("FusedConv", x.movedim(-1, 1), weight, bias, added, activation="Relu", **window)
    last = (x, weight, bias, added.movedim(1, -1))
    torch.testing.assert_close(ours("NhwcFusedConv", *last, activation="Relu", **window)[0], fused.movedim(1, -1))
    gradients("NhwcConv", x, weight, bias, **window)
    gradients("NhwcFusedConv", *last, activation="Tanh", **window)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8])
@pytest.mark.parametrize("window", [{}, {"pads": (1, 0, 0, 1), "strides": (2, 1)}, {"ceil_mode": 1, "strides": (2, 2)}])
def test_whole_numbers_are_pooled_with_channels_last(
    oracle: Oracle, kind: torch.dtype, window: Mapping[str, Any]
) -> None:
    x = torch.randint(0, 100, (2, 7, 8, 3)).to(kind)
    oracle("NhwcMaxPool", x, kernel_shape=(3, 2), tolerance=0, **window)


@pytest.mark.parametrize("window", [{"strides": (2, 1)}, {"output_padding": (1, 0), "strides": (2, 2)}, {"group": 2}])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 0, 1)])
@pytest.mark.parametrize("biased", [False, True])
def test_padding_may_be_computed(
    oracle: Oracle,
    gradients: Gradients,
    window: Mapping[str, Any],
    pads: tuple[int, ...],
    biased: bool,  # noqa: FBT001
) -> None:
    bias = torch.randn(2 * window.get("group", 1)) if biased else None
    inputs = (torch.randn(2, 4, 3, 5), torch.randn(4, 2, 3, 2), torch.tensor(pads), bias)
    oracle("ConvTransposeWithDynamicPads", *inputs, **window)
    gradients("ConvTransposeWithDynamicPads", *inputs, **window)


@pytest.mark.parametrize("activation", ["none", "silu", "swish"])
@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("last", [0, 1])
def test_a_causal_convolution_sees_its_past(  # noqa: PLR0917  two truths and what varies
    oracle: Oracle,
    gradients: Gradients,
    activation: str,
    steps: int,
    dilation: int,
    past: bool,  # noqa: FBT001
    last: int,
) -> None:
    x, before = torch.randn(2, 3, steps), torch.randn(2, 3, 3 * dilation)
    if last:
        x, before = x.mT.contiguous(), before.mT.contiguous()
    inputs = (x, torch.randn(3, 1, 4), torch.randn(3) if past else None, before if past else None)
    given = {"activation": activation, "dilation": dilation, "channels_last": last}
    oracle("CausalConvWithState", *inputs, outputs=2, **given)
    gradients("CausalConvWithState", *inputs, outputs=2, **given)


@pytest.mark.parametrize("given", [{"ndim": 2}, {"state_window": 2}])
def test_a_causal_convolution_of_another_kind_is_refused(ours: Ours, given: dict[str, int]) -> None:
    with pytest.raises(UnsupportedOperator, match="CausalConv"):
        ours("CausalConvWithState", torch.randn(2, 3, 5), torch.randn(3, 1, 4), **given)
