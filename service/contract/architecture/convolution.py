"""Convolutions, depthwise and separable ones included."""

from math import prod
from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict

from service.contract.architecture.base import Shape, Size, channels
from service.contract.architecture.laws import Init, InitSpec, LawSpec, Plain
from service.contract.architecture.window import (
    Padding,
    Padding2d,
    Padding3d,
    Pair,
    Step,
    Steps,
    Triple,
    Window,
    spread,
    with_channels,
    with_inner,
)
from service.contract.problem import Invalid


class Filter(Window):
    """What all convolutions share."""

    dilation: Steps = 1
    bias: bool = True
    init: InitSpec = Init()

    @property
    def dilations(self) -> tuple[int, ...]:
        """The distance between numbers in one window, per axis."""
        return spread(self.dilation, self.axes)

    def made(self, shape: Shape) -> int:
        """Return how many channels come out."""
        raise NotImplementedError

    def output(self, shape: Shape, at: str) -> Shape:
        """Exchange the channels, and shrink the inner axes."""
        sizes = self.slid(shape, at)
        return with_channels(with_inner(shape, sizes), self.made(shape))


class Convolution(Filter):
    """A convolution; its kernel has the shape (filters, channels / groups, window…)."""

    filters: Size
    groups: Size = 1

    def made(self, shape: Shape) -> int:  # noqa: ARG002  the depthwise ones count them
        """Return the number of filters."""
        return self.filters

    def output(self, shape: Shape, at: str) -> Shape:
        """Exchange the channels, which the groups must divide, and shrink the inner axes."""
        after = super().output(shape, at)
        for what, count in (("channels", channels(shape)), ("filters", self.filters)):
            if count % self.groups:
                detail = f"The {count} {what} do not divide into {self.groups} groups."
                raise Invalid(detail, pointer=f"{at}/groups")
        self.init.suits((self.filters // self.groups, channels(shape) // self.groups, *self.kernels), at)
        return after

    def weights(self, shape: Shape) -> int:
        """Return filters · channels / groups · window, and filters for the bias."""
        return self.filters * (channels(shape) // self.groups * prod(self.kernels) + self.bias)


class Conv1d(Convolution):
    """A convolution over the time of (time, features); "causal" padding lets no window see the future."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "conv1d", "filters": 16, "kernel": 3, "padding": "same"}]}
    )
    axes: ClassVar[int] = 1

    kind: Literal["conv1d"]
    kernel: Step
    stride: Step = 1
    padding: Padding | Literal["causal"] = "valid"
    dilation: Step = 1


class Conv2d(Convolution):
    """A convolution over an image (channels, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "conv2d", "filters": 32, "kernel": 3, "padding": "same", "init": "he_normal"}],
            "x-reads": [[3, 9, 8]],
        }
    )
    axes: ClassVar[int] = 2

    kind: Literal["conv2d"]
    kernel: Pair
    stride: Pair = 1
    padding: Padding2d = "valid"
    dilation: Pair = 1


class Conv3d(Convolution):
    """A convolution over a volume (channels, depth, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "conv3d", "filters": 8, "kernel": 3, "padding": "same", "init": "he_normal"}],
            "x-reads": [[2, 5, 6, 7]],
        }
    )
    axes: ClassVar[int] = 3

    kind: Literal["conv3d"]
    kernel: Triple
    stride: Triple = 1
    padding: Padding3d = "valid"
    dilation: Triple = 1


class Depthwise(Filter):
    """A convolution of each channel by itself, `multiplier` times; kernel (channels · multiplier, 1, window…)."""

    multiplier: Step = 1

    def made(self, shape: Shape) -> int:
        """Return channels · multiplier: all that is made of the first channel, then of the second …"""
        return channels(shape) * self.multiplier

    def weights(self, shape: Shape) -> int:
        """Return a window and a bias per channel that comes out."""
        return self.made(shape) * (prod(self.kernels) + self.bias)


class DepthwiseConv1d(Depthwise):
    """A convolution over the time of (time, features), of each feature by itself."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "depthwise_conv1d", "kernel": 3, "multiplier": 2}]}
    )
    axes: ClassVar[int] = 1

    kind: Literal["depthwise_conv1d"]
    kernel: Step
    stride: Step = 1
    padding: Padding | Literal["causal"] = "valid"
    dilation: Step = 1


class DepthwiseConv2d(Depthwise):
    """A convolution over an image (channels, height, width), of each channel by itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "depthwise_conv2d", "kernel": 3, "padding": "same"}],
            "x-reads": [[3, 9, 8]],
        }
    )
    axes: ClassVar[int] = 2

    kind: Literal["depthwise_conv2d"]
    kernel: Pair
    stride: Pair = 1
    padding: Padding2d = "valid"
    dilation: Pair = 1


class Separable(Filter):
    """A depthwise convolution without bias, and a pointwise one of the kernel (filters, channels · multiplier, 1…).

    `init` is the pointwise kernel's and the bias's.
    """

    filters: Size
    multiplier: Step = 1
    depthwise_init: LawSpec = Plain(law="torch_default")
    """The law of the depthwise kernel."""

    def made(self, shape: Shape) -> int:  # noqa: ARG002  the depthwise ones count them
        """Return the number of filters."""
        return self.filters

    def weights(self, shape: Shape) -> int:
        """Return what both kernels and the bias hold."""
        between = channels(shape) * self.multiplier
        return between * prod(self.kernels) + self.filters * (between + self.bias)


class SeparableConv1d(Separable):
    """A convolution over the time of (time, features): each feature by itself, then all features step by step."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "separable_conv1d", "filters": 16, "kernel": 3}]}
    )
    axes: ClassVar[int] = 1

    kind: Literal["separable_conv1d"]
    kernel: Step
    stride: Step = 1
    padding: Padding | Literal["causal"] = "valid"
    dilation: Step = 1


class SeparableConv2d(Separable):
    """A convolution over an image (channels, height, width): each channel by itself, then all pixel by pixel."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "separable_conv2d",
                    "filters": 16,
                    "kernel": 3,
                    "padding": "same",
                    "init": "he_normal",
                    "depthwise_init": "glorot_uniform",
                }
            ],
            "x-reads": [[3, 9, 8]],
        }
    )
    axes: ClassVar[int] = 2

    kind: Literal["separable_conv2d"]
    kernel: Pair
    stride: Pair = 1
    padding: Padding2d = "valid"
    dilation: Pair = 1


Convolutions: TypeAlias = (
    Conv1d | Conv2d | Conv3d | DepthwiseConv1d | DepthwiseConv2d | SeparableConv1d | SeparableConv2d
)
