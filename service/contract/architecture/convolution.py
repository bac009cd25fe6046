"""Convolutions, and the windows that they share with pooling."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import IMAGE, SEQUENCE, LayerBase, Shape, Size, channels, fits
from service.contract.architecture.laws import Init, InitSpec
from service.contract.problem import Invalid

Step = Annotated[int, Field(ge=1, le=1024)]
Pair: TypeAlias = Step | tuple[Step, Step]
Padding: TypeAlias = Literal["same", "valid"] | Annotated[int, Field(ge=0, le=1024)]
Pads: TypeAlias = tuple[tuple[int, int], ...]
"""Zeros before and after, per axis."""


class Window(LayerBase):
    """A layer that slides a window over the inner axes of an image (channels first) or the time of a sequence."""

    @property
    def axes(self) -> int:
        """How many axes the window has."""
        raise NotImplementedError

    @property
    def steps(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel, stride and dilation, a number per axis."""
        raise NotImplementedError

    @property
    def edge(self) -> Padding:
        """The padding as the file gives it."""
        raise NotImplementedError

    def inner(self, shape: Shape) -> tuple[int, ...]:
        """Return the sizes that the window slides over."""
        return shape[1:] if self.axes > 1 else shape[:1]

    def pads(self, shape: Shape) -> Pads:
        """Return the padding in numbers; "same" gives ceil(size / stride) windows, the odd zero behind."""
        if isinstance(self.edge, int):
            return ((self.edge, self.edge),) * self.axes
        if self.edge == "valid":
            return ((0, 0),) * self.axes
        return tuple(_same(*sizes) for sizes in zip(self.inner(shape), *self.steps, strict=True))

    def slid(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return how many windows fit along each axis; Invalid where none does."""
        fits(shape, at, IMAGE if self.axes > 1 else SEQUENCE)
        sizes = zip(self.inner(shape), self.pads(shape), *self.steps, strict=True)
        return tuple(
            _windows(size + sum(pads), kernel, stride, dilation, at) for size, pads, kernel, stride, dilation in sizes
        )


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    windows = -(-size // stride)
    total = max((windows - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def _windows(size: int, kernel: int, stride: int, dilation: int, at: str) -> int:
    reach = dilation * (kernel - 1) + 1
    if reach > size:
        detail = f"A window of {reach} does not fit into a size of {size}, padding included."
        raise Invalid(detail, pointer=f"{at}/kernel")
    return (size - reach) // stride + 1


def spread(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Return one number per axis."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


class Convolution(Window):
    """What convolutions over time and over images share; the kernel has the shape (filters, channels / groups, …)."""

    filters: Size
    padding: Padding = "valid"
    groups: Size = 1
    bias: bool = True
    init: InitSpec = Init()

    @property
    def edge(self) -> Padding:
        """The padding as the file gives it."""
        return self.padding

    def output(self, shape: Shape, at: str) -> Shape:
        """Exchange the channels, and shrink the inner axes."""
        inner = self.slid(shape, at)
        for what, count in (("channels", channels(shape)), ("filters", self.filters)):
            if count % self.groups:
                detail = f"The {count} {what} do not divide into {self.groups} groups."
                raise Invalid(detail, pointer=f"{at}/groups")
        return (self.filters, *inner) if self.axes > 1 else (*inner, self.filters)

    def weights(self, shape: Shape) -> int:
        """Return filters · channels / groups · window, and filters for the bias."""
        window = 1
        for size in self.steps[0]:
            window *= size
        return self.filters * (channels(shape) // self.groups * window + self.bias)


class Conv1d(Convolution):
    """A convolution over the time of (time, features)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "conv1d", "filters": 16, "kernel": 3, "padding": "same"}]}
    )

    kind: Literal["conv1d"]
    kernel: Step
    stride: Step = 1
    dilation: Step = 1

    @property
    def axes(self) -> int:
        """One: time."""
        return 1

    @property
    def steps(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel, stride and dilation."""
        return (self.kernel,), (self.stride,), (self.dilation,)


class Conv2d(Convolution):
    """A convolution over an image (channels, height, width)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "conv2d", "filters": 32, "kernel": 3, "padding": "same", "init": "he_normal"}],
            "x-reads": [[3, 9, 8]],
        }
    )

    kind: Literal["conv2d"]
    kernel: Pair
    stride: Pair = 1
    dilation: Pair = 1

    @property
    def axes(self) -> int:
        """Two: height and width."""
        return 2

    @property
    def steps(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel, stride and dilation, for height and width."""
        return spread(self.kernel, 2), spread(self.stride, 2), spread(self.dilation, 2)


Convolutions: TypeAlias = Conv1d | Conv2d
