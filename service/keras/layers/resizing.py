"""Layers that give images a height and width."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from service.contract.problem import Invalid
from service.keras.base import Shape, bounded, known, ranked
from service.keras.interpolation import Word, sampled
from service.keras.layers import keras
from service.keras.sliding import Size, Sizes, Spatial


class Resized(Spatial):
    """What all of them share."""

    axes: ClassVar[int] = 2

    @property
    def target(self) -> tuple[int, int]:
        """The wanted height and width."""
        raise NotImplementedError

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the wanted sizes."""
        ranked(shape, at, 4)
        return self.with_sizes(shape, self.target)

    def before(self, shape: Shape, at: str) -> tuple[int, int]:
        """Return the height and width that reach the layer; Invalid where the file leaves them open."""
        height, width = (known(size, at, "image's size") for size in self.inside(shape))
        return height, width

    def cropped(self, shape: Shape, at: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return what is taken away around, so that an image has the wanted ratio of height to width."""
        (height, width), (tall, broad) = self.before(shape, at), self.target
        high = max(min(height, width * tall // broad), 1)
        wide = max(min(width, height * broad // tall), 1)
        top, left = (height - high) // 2, (width - wide) // 2
        return (top, height - high - top), (left, width - wide - left)


class Interpolated(Resized):
    """Resizes images, numbers being the middles of cells."""

    interpolation: Word = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    fill_mode: Literal["constant"] = "constant"
    fill_value: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    antialias: bool = False

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the wanted sizes."""
        sampled(self.interpolation, at)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            detail = "An image is cropped or padded to a ratio of height to width, not both."
            raise Invalid(detail, pointer=f"{at}/config/pad_to_aspect_ratio")
        after = super().output(shape, at)
        if self.crop_to_aspect_ratio or self.pad_to_aspect_ratio:
            self.before(shape, at)
        if self.pad_to_aspect_ratio:
            pairs = zip(self.inside(shape), self.padded(shape, at), strict=True)
            bounded(self.with_sizes(shape, tuple((size or 0) + 2 * amount for size, amount in pairs)), at)
        return after

    def padded(self, shape: Shape, at: str) -> tuple[int, int]:
        """Return what is added above and below, left and right, so that an image has about the wanted ratio."""
        (height, width), (tall, broad) = self.before(shape, at), self.target
        high, wide = max(height, width * tall // broad), max(width, height * broad // tall)
        return (high - height) // 2, (wide - width) // 2


@keras("Resizing")
class Resizing(Interpolated):
    """Resizes images, as a layer."""

    height: Size
    width: Size
    bounding_box_format: str | None = None

    @property
    def target(self) -> tuple[int, int]:
        """The wanted height and width."""
        return self.height, self.width


@keras("ops.Resize")
class Resize(Interpolated):
    """Resizes images, as a function of keras.ops.image."""

    parameters: ClassVar[tuple[str, ...]] = ("images",)

    size: Sizes

    @property
    def target(self) -> tuple[int, int]:
        """The wanted height and width."""
        height, width = self.each(self.size)
        return height, width


@keras("CenterCrop")
class CenterCrop(Resized):
    """Takes the middle of images; those that are too small are cropped to the ratio and resized."""

    height: Size
    width: Size

    @property
    def target(self) -> tuple[int, int]:
        """The wanted height and width."""
        return self.height, self.width

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the wanted sizes."""
        ranked(shape, at, 4)
        self.before(shape, at)
        return super().output(shape, at)
