"""Transposed convolutions, which make sizes grow as convolutions make them shrink."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict

from service.contract.architecture.base import Shape, bounded, fits
from service.contract.architecture.convolution import Convolution
from service.contract.architecture.window import (
    FORMS,
    Amount,
    Padding,
    Padding2d,
    Padding3d,
    Pads,
    Pair,
    Step,
    Steps,
    Triple,
    halved,
    inner,
    spread,
    with_channels,
    with_inner,
)
from service.contract.problem import Invalid


class Transposed(Convolution):
    """The adjoint of a convolution, kernel (channels, filters / groups, window…).

    A size becomes (size − 1) · stride + reach, less the padding on both sides, plus `output_padding` behind; with
    "same", size · stride.
    """

    output_padding: Steps = 0

    @property
    def added(self) -> tuple[int, ...]:
        """The output padding, per axis."""
        return spread(self.output_padding, self.axes)

    def whole(self, shape: Shape) -> tuple[int, ...]:
        """Return the sizes before anything is cut off or added."""
        sizes = zip(inner(shape), self.strides, self.reaches, strict=True)
        return tuple((size - 1) * stride + reach for size, stride, reach in sizes)

    def pads(self, shape: Shape) -> Pads:
        """Return what is cut off before and after each axis, the odd one behind."""
        if self.padding != "same":
            return super().pads(shape)
        sizes = zip(self.whole(shape), inner(shape), self.strides, strict=True)
        return tuple(halved(whole - size * stride) for whole, size, stride in sizes)

    def behind(self, shape: Shape) -> tuple[int, ...]:
        """Return what is added behind each axis; with "same", what a window smaller than its stride leaves out."""
        if self.padding != "same":
            return self.added
        sizes = zip(self.whole(shape), inner(shape), self.strides, strict=True)
        return tuple(max(size * stride - whole, 0) for whole, size, stride in sizes)

    def slid(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return the sizes that come out; Invalid where nothing would, or where more is added than a step."""
        fits(shape, at, FORMS[self.axes])
        self._stepped(at)
        bounded(with_channels(with_inner(shape, self.whole(shape)), self.filters), at)
        sizes = zip(self.whole(shape), self.pads(shape), self.behind(shape), strict=True)
        after = tuple(whole - sum(pads) + behind for whole, pads, behind in sizes)
        if min(after) < 1:
            detail = f"The padding leaves a size of {min(after)}; at least 1 must come out."
            raise Invalid(detail, pointer=f"{at}/padding")
        return after

    def _stepped(self, at: str) -> None:
        """Pass an output padding smaller than a step."""
        if self.padding == "same" and any(self.added):
            detail = 'With the padding "same", size · stride comes out; output_padding must be 0.'
            raise Invalid(detail, pointer=f"{at}/output_padding")
        for amount, stride, dilation in zip(self.added, self.strides, self.dilations, strict=True):
            if amount >= max(stride, dilation):
                detail = f"The output padding is {amount}; stride and dilation are {stride} and {dilation}, and the "
                detail += "larger one must be larger than it."
                raise Invalid(detail, pointer=f"{at}/output_padding")


class Conv1dTranspose(Transposed):
    """A transposed convolution over the time of (time, features)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "conv1d_transpose", "filters": 4, "kernel": 4, "stride": 2}]}
    )
    axes: ClassVar[int] = 1

    kind: Literal["conv1d_transpose"]
    kernel: Step
    stride: Step = 1
    padding: Padding = "valid"
    dilation: Step = 1
    output_padding: Amount = 0


class Conv2dTranspose(Transposed):
    """A transposed convolution over an image (channels, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "conv2d_transpose", "filters": 4, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}
            ],
            "x-reads": [[3, 5, 4]],
        }
    )
    axes: ClassVar[int] = 2

    kind: Literal["conv2d_transpose"]
    kernel: Pair
    stride: Pair = 1
    padding: Padding2d = "valid"
    dilation: Pair = 1
    output_padding: Amount | tuple[Amount, Amount] = 0


class Conv3dTranspose(Transposed):
    """A transposed convolution over a volume (channels, depth, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "conv3d_transpose", "filters": 4, "kernel": 2, "stride": 2}],
            "x-reads": [[2, 3, 4, 5]],
        }
    )
    axes: ClassVar[int] = 3

    kind: Literal["conv3d_transpose"]
    kernel: Triple
    stride: Triple = 1
    padding: Padding3d = "valid"
    dilation: Triple = 1
    output_padding: Amount | tuple[Amount, Amount, Amount] = 0


Transposes: TypeAlias = Conv1dTranspose | Conv2dTranspose | Conv3dTranspose
