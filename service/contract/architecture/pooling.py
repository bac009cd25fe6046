"""Pooling: the largest or the mean number of each window, of as many windows as are wanted, or of everything."""

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import IMAGE, SEQUENCE, VOLUME, LayerBase, Shape, channels, fits
from service.contract.architecture.window import (
    FORMS,
    Padding,
    Padding2d,
    Padding3d,
    Pair,
    Step,
    Steps,
    Triple,
    Window,
    inner,
    spread,
    with_inner,
)
from service.contract.problem import Invalid


class Pooling(Window):
    """What pooling with windows shares; the stride is the kernel's size by default."""

    kernel: Steps = 2
    stride: Steps | None = None
    ceil: bool = False
    """Whether a last window may reach over the end."""

    def _padded(self, at: str) -> None:
        """Pass a padding that no window could lie in alone; Invalid otherwise."""
        if isinstance(self.padding, str):
            return
        for amount, kernel in zip(spread(self.padding, self.axes), self.kernels, strict=True):
            if amount >= kernel:
                detail = f"The padding is {amount} and the window {kernel}; the padding must be smaller."
                raise Invalid(detail, pointer=f"{at}/padding")

    def windows(self, size: int, after: int, reach: int, stride: int, at: str) -> int:
        """Return how many windows fit; with `ceil`, one more that starts before the end and reaches over it."""
        count = super().windows(size, after, reach, stride, at)
        over = self.ceil and (size + after - reach) % stride > 0 and count * stride < size
        return count + over

    def output(self, shape: Shape, at: str) -> Shape:
        """Shrink the inner axes."""
        self._padded(at)
        return with_inner(shape, self.slid(shape, at))


class MaxPooling(Pooling):
    """The largest number of each window; padding never is it."""

    dilation: Steps = 1

    @property
    def dilations(self) -> tuple[int, ...]:
        """The distance between numbers in one window, per axis."""
        return spread(self.dilation, self.axes)

    def output(self, shape: Shape, at: str) -> Shape:
        """Shrink the inner axes; Invalid where a dilated window could step over all that is not padding."""
        after = super().output(shape, at)
        for size, pads, dilation in zip(inner(shape), self.pads(shape), self.dilations, strict=True):
            if any(pads) and dilation > size:
                detail = f"The dilation is {dilation} and the size {size}; a window could lie in the padding alone."
                raise Invalid(detail, pointer=f"{at}/dilation")
        return after


class AvgPooling(Pooling):
    """The mean of each window."""

    count_padding: bool = False
    """Whether padding counts, as zeros; what `ceil` reaches over never does."""


class MaxPool1d(MaxPooling):
    """The largest number of each window, along the time of (time, features)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "max_pool1d", "kernel": 2}]})
    axes: ClassVar[int] = 1

    kind: Literal["max_pool1d"]
    kernel: Step = 2
    stride: Step | None = None
    padding: Padding = "valid"
    dilation: Step = 1


class MaxPool2d(MaxPooling):
    """The largest number of each window of an image (channels, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1}],
            "x-reads": [[3, 9, 8]],
        }
    )
    axes: ClassVar[int] = 2

    kind: Literal["max_pool2d"]
    kernel: Pair = 2
    stride: Pair | None = None
    padding: Padding2d = "valid"
    dilation: Pair = 1


class MaxPool3d(MaxPooling):
    """The largest number of each window of a volume (channels, depth, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "max_pool3d", "kernel": 2}], "x-reads": [[2, 5, 6, 7]]}
    )
    axes: ClassVar[int] = 3

    kind: Literal["max_pool3d"]
    kernel: Triple = 2
    stride: Triple | None = None
    padding: Padding3d = "valid"
    dilation: Triple = 1


class AvgPool1d(AvgPooling):
    """The mean of each window, along the time of (time, features)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "avg_pool1d", "kernel": 2}]})
    axes: ClassVar[int] = 1

    kind: Literal["avg_pool1d"]
    kernel: Step = 2
    stride: Step | None = None
    padding: Padding = "valid"


class AvgPool2d(AvgPooling):
    """The mean of each window of an image (channels, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "avg_pool2d", "kernel": [2, 2]}], "x-reads": [[3, 9, 8]]}
    )
    axes: ClassVar[int] = 2

    kind: Literal["avg_pool2d"]
    kernel: Pair = 2
    stride: Pair | None = None
    padding: Padding2d = "valid"


class AvgPool3d(AvgPooling):
    """The mean of each window of a volume (channels, depth, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "avg_pool3d", "kernel": 2}], "x-reads": [[2, 5, 6, 7]]}
    )
    axes: ClassVar[int] = 3

    kind: Literal["avg_pool3d"]
    kernel: Triple = 2
    stride: Triple | None = None
    padding: Padding3d = "valid"


Wanted: TypeAlias = Annotated[int, Field(ge=1, le=1024)] | None
"""A size; null keeps what is there."""


class AdaptivePooling(LayerBase):
    """The mean or the largest number of windows that share an axis evenly, as many as are wanted.

    Window i of m along n numbers goes from floor(i · n / m) to ceil((i + 1) · n / m), as PyTorch cuts them.
    """

    axes: ClassVar[int]

    size: Wanted | tuple[Wanted, ...]
    """How many windows there are along each axis."""

    def sizes(self, shape: Shape) -> tuple[int, ...]:
        """Return the sizes that come out."""
        wanted = self.size if isinstance(self.size, tuple) else (self.size,) * self.axes
        return tuple(size or before for size, before in zip(wanted, inner(shape), strict=True))

    def output(self, shape: Shape, at: str) -> Shape:
        """Give the inner axes the wanted sizes."""
        fits(shape, at, FORMS[self.axes])
        return with_inner(shape, self.sizes(shape))


class AdaptivePool1d(AdaptivePooling):
    """Pools the time of (time, features) to a wanted number of steps."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "adaptive_avg_pool1d", "size": 3}]})
    axes: ClassVar[int] = 1

    kind: Literal["adaptive_avg_pool1d", "adaptive_max_pool1d"]
    size: Annotated[int, Field(ge=1, le=1024)]


class AdaptivePool2d(AdaptivePooling):
    """Pools an image (channels, height, width) to a wanted height and width."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "adaptive_avg_pool2d", "size": [4, 4]}], "x-reads": [[3, 9, 8]]}
    )
    axes: ClassVar[int] = 2

    kind: Literal["adaptive_avg_pool2d", "adaptive_max_pool2d"]
    size: Wanted | tuple[Wanted, Wanted]


class AdaptivePool3d(AdaptivePooling):
    """Pools a volume (channels, depth, height, width) to a wanted depth, height and width."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "adaptive_max_pool3d", "size": [2, 4, 4]}], "x-reads": [[2, 5, 6, 7]]}
    )
    axes: ClassVar[int] = 3

    kind: Literal["adaptive_avg_pool3d", "adaptive_max_pool3d"]
    size: Wanted | tuple[Wanted, Wanted, Wanted]


class GlobalPool(LayerBase):
    """The largest or the mean number per channel of an image or volume, or per feature of a sequence."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "global_avg_pool"}]})

    kind: Literal["global_avg_pool", "global_max_pool"]
    keep: bool = False
    """Whether the axes stay, each of the size 1."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Return (channels), or `shape` with inner sizes of 1."""
        fits(shape, at, SEQUENCE, IMAGE, VOLUME)
        return with_inner(shape, (1,) * len(inner(shape))) if self.keep else (channels(shape),)


Pools: TypeAlias = (
    MaxPool1d
    | MaxPool2d
    | MaxPool3d
    | AvgPool1d
    | AvgPool2d
    | AvgPool3d
    | AdaptivePool1d
    | AdaptivePool2d
    | AdaptivePool3d
    | GlobalPool
)
