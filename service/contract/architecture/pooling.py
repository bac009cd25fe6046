"""Pooling: the largest or the mean number of each window, or of everything."""

from typing import Literal, TypeAlias

from pydantic import ConfigDict

from service.contract.architecture.base import IMAGE, SEQUENCE, LayerBase, Shape, fits
from service.contract.architecture.convolution import Padding, Pair, Step, Window, spread
from service.contract.problem import Invalid


class Pooling(Window):
    """What pooling over time and over images shares."""

    padding: Padding = "valid"

    @property
    def edge(self) -> Padding:
        """The padding as the file gives it."""
        return self.padding

    def slid(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return how many windows fit along each axis; Invalid where one could lie in the padding alone."""
        smallest = min(self.steps[0])
        if isinstance(self.padding, int) and self.padding >= smallest:
            detail = f"The padding is {self.padding} and the window {smallest}; the padding must be smaller."
            raise Invalid(detail, pointer=f"{at}/padding")
        return super().slid(shape, at)


class Pool1d(Pooling):
    """Pools windows along the time of (time, features); padding does not count in means."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "max_pool1d", "kernel": 2}]})

    kind: Literal["max_pool1d", "avg_pool1d"]
    kernel: Step = 2
    stride: Step | None = None
    """The kernel's size by default."""

    @property
    def axes(self) -> int:
        """One: time."""
        return 1

    @property
    def steps(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel, stride and dilation (always 1)."""
        return (self.kernel,), (self.stride or self.kernel,), (1,)

    def output(self, shape: Shape, at: str) -> Shape:
        """Shrink the time."""
        return (*self.slid(shape, at), shape[-1])


class Pool2d(Pooling):
    """Pools windows of an image (channels, height, width); padding does not count in means."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "avg_pool2d", "kernel": [2, 2]}], "x-reads": [[3, 9, 8]]}
    )

    kind: Literal["max_pool2d", "avg_pool2d"]
    kernel: Pair = 2
    stride: Pair | None = None
    """The kernel's size by default."""

    @property
    def axes(self) -> int:
        """Two: height and width."""
        return 2

    @property
    def steps(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel, stride and dilation (always 1), for height and width."""
        return spread(self.kernel, 2), spread(self.stride or self.kernel, 2), (1, 1)

    def output(self, shape: Shape, at: str) -> Shape:
        """Shrink height and width."""
        inner = self.slid(shape, at)
        return (shape[0], *inner)


class GlobalPool(LayerBase):
    """The largest or the mean number per channel of an image, or per feature of a sequence."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "global_avg_pool"}]})

    kind: Literal["global_avg_pool", "global_max_pool"]

    def output(self, shape: Shape, at: str) -> Shape:
        """Return (channels)."""
        fits(shape, at, SEQUENCE, IMAGE)
        return shape[:1] if len(shape) == IMAGE else shape[1:]


Pools: TypeAlias = Pool1d | Pool2d | GlobalPool
