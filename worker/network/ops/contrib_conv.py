"""onnxruntime's convolutions: with an activation, with channels last, or with padding that is computed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedOperator
from worker.network.ops import Context, integers, op
from worker.network.ops.standard import MICROSOFT, activated, standard

PARAMETERS = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "Clip": ("min", "max")}
"""What the numbers beside a fused activation are, in order."""


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, sliding: dict[str, Any]) -> Tensor:
    y: Tensor = standard("Conv")(x, weight, bias, **sliding)
    return y


@op("FusedConv", domain=MICROSOFT)
def fused_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    added: Tensor | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """An activation of a convolution, to which another value is added first."""
    sliding = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "pads": pads, "strides": strides}
    y = _convolved(x, weight, bias, sliding)
    settings = dict(zip(PARAMETERS.get(activation, ()), activation_params, strict=True))
    return activated(y if added is None else y + added, activation, **settings)


@op("NhwcFusedConv", domain=MICROSOFT)
def fused_conv_of_channels_last(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    added: Tensor | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """FusedConv of x [batch, …, channels]; the kernel is [out, channels / group, …]."""
    y = fused_conv(
        x.movedim(-1, 1),
        weight,
        bias,
        None if added is None else added.movedim(-1, 1),
        activation=activation,
        activation_params=activation_params,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        pads=pads,
        strides=strides,
    )
    return y.movedim(1, -1)


@op("NhwcConv", domain=MICROSOFT)
def conv_of_channels_last(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """A convolution of x [batch, …, channels]; the kernel is [out, channels / group, …]."""
    sliding = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "pads": pads, "strides": strides}
    return _convolved(x.movedim(-1, 1), weight, bias, sliding).movedim(1, -1)


@op("NhwcMaxPool", domain=MICROSOFT)
def max_pool_of_channels_last(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    context: Context,
) -> Tensor:
    """The largest element of each window of x [batch, …, channels]."""
    sliding = {"auto_pad": auto_pad, "ceil_mode": ceil_mode, "dilations": dilations, "pads": pads, "strides": strides}
    y: Tensor = standard("MaxPool")(x.movedim(-1, 1), kernel_shape=kernel_shape, **sliding, context=context)[0]
    return y.movedim(1, -1)


@op("ConvTransposeWithDynamicPads", domain=MICROSOFT)
def conv_transpose_with_dynamic_pads(
    x: Tensor,
    weight: Tensor,
    pads: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The adjoint of a convolution, whose padding is an input."""
    sliding = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "strides": strides}
    cut = None if pads is None else integers(pads)
    y: Tensor = standard("ConvTranspose")(x, weight, bias, pads=cut, output_padding=output_padding, **sliding)
    return y


@op("CausalConvWithState", domain=MICROSOFT)
def causal_conv_with_state(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    past: Tensor | None = None,
    *,
    activation: str = "none",
    channels_last: int = 0,
    dilation: int = 1,
    ndim: int = 1,
    state_window: int = 0,
) -> tuple[Tensor, Tensor]:
    """Each channel's convolution over each step and those before it, and the steps that the next call needs."""
    if ndim != 1 or state_window:
        msg = f"CausalConvWithState over {ndim} axes that keeps {state_window} states is not supported; 1 and 0 are."
        raise UnsupportedOperator(msg)
    first = _channels_first(x) if channels_last else x
    before = _channels_first(past) if channels_last and past is not None else past
    reach = (weight.shape[2] - 1) * dilation
    steps = functional.pad(first, [reach, 0]) if before is None else torch.cat([before, first], 2)
    y = functional.conv1d(steps, weight, bias, dilation=dilation, groups=len(weight))
    shown = y if activation == "none" else functional.silu(y)
    present = steps[:, :, steps.shape[2] - reach :]
    if not channels_last:
        return shown, present
    return shown.mT.reshape(x.shape), present.mT.reshape(len(x), -1, *x.shape[2:])


def _channels_first(x: Tensor) -> Tensor:
    return x.flatten(2).mT
