"""Layers that change inner sizes without weights: upsampling, padding, cropping, resizing."""

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.base import Shape, known, ranked
from service.keras.layers import keras
from service.keras.sliding import Amount, Size, Sizes, Spatial, small

Sides: TypeAlias = tuple[Amount, Amount]
Word: TypeAlias = Annotated[str, BeforeValidator(small), Field(max_length=100)]
"""A way to interpolate."""
SAMPLINGS = ("nearest", "bilinear", "bicubic")


def sampled(word: str, at: str) -> None:
    """Pass a way to interpolate that is examined; UnsupportedModel otherwise."""
    if word not in SAMPLINGS:
        detail = f"The interpolation {word!r:.80} is not examined; {', '.join(SAMPLINGS)} are."
        raise UnsupportedModel(detail, pointer=f"{at}/config/interpolation")


class UpSampling(Spatial):
    """Makes each inner size a multiple of itself."""

    size: Sizes = 2

    def output(self, shape: Shape, at: str) -> Shape:
        """Multiply the sizes."""
        ranked(shape, at, self.axes + 2)
        pairs = zip(self.inside(shape), self.each(self.size), strict=True)
        return self.with_sizes(shape, tuple(size and size * factor for size, factor in pairs))


@keras("UpSampling1D")
class UpSampling1D(UpSampling):
    """Repeats each step."""

    axes: ClassVar[int] = 1


@keras("UpSampling2D")
class UpSampling2D(UpSampling):
    """Makes images larger; numbers are the middles of cells."""

    axes: ClassVar[int] = 2

    interpolation: Word = "nearest"

    def output(self, shape: Shape, at: str) -> Shape:
        """Multiply the sizes."""
        sampled(self.interpolation, at)
        return super().output(shape, at)


@keras("UpSampling3D")
class UpSampling3D(UpSampling):
    """Repeats each number of a volume along all axes."""

    axes: ClassVar[int] = 3


class Sided(Spatial):
    """A layer with an amount for each side of each inner axis."""

    def sides(self) -> tuple[Sides, ...]:
        """Return the amounts before and after each axis."""
        raise NotImplementedError

    def both(self, given: "Amount | tuple[Amount | Sides, ...]") -> tuple[Sides, ...]:
        """Return amounts for each side of each axis."""
        each = (given,) * self.axes if isinstance(given, int) else given
        return tuple((one, one) if isinstance(one, int) else one for one in each)


class ZeroPadding(Sided):
    """Adds zeros around."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Add the amounts."""
        ranked(shape, at, self.axes + 2)
        pairs = zip(self.inside(shape), self.sides(), strict=True)
        return self.with_sizes(shape, tuple(size and size + sum(sides) for size, sides in pairs))


@keras("ZeroPadding1D")
class ZeroPadding1D(ZeroPadding):
    """Adds steps of zeros; two numbers are for before and after."""

    axes: ClassVar[int] = 1

    padding: Amount | Sides = 1

    def sides(self) -> tuple[Sides, ...]:
        """Return the amounts before and after."""
        return self.both(self.padding if isinstance(self.padding, int) else (self.padding,))


@keras("ZeroPadding2D")
class ZeroPadding2D(ZeroPadding):
    """Adds zeros around images."""

    axes: ClassVar[int] = 2

    padding: Amount | tuple[Amount | Sides, Amount | Sides] = 1

    def sides(self) -> tuple[Sides, ...]:
        """Return the amounts before and after each axis."""
        return self.both(self.padding)


@keras("ZeroPadding3D")
class ZeroPadding3D(ZeroPadding):
    """Adds zeros around volumes."""

    axes: ClassVar[int] = 3

    padding: Amount | tuple[Amount | Sides, Amount | Sides, Amount | Sides] = 1

    def sides(self) -> tuple[Sides, ...]:
        """Return the amounts before and after each axis."""
        return self.both(self.padding)


class Cropping(Sided):
    """Takes numbers away around."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Take the amounts away; Invalid where nothing is left."""
        ranked(shape, at, self.axes + 2)
        pairs = zip(self.inside(shape), self.sides(), strict=True)
        after = tuple(size if size is None else size - sum(sides) for size, sides in pairs)
        if any(size is not None and size < 1 for size in after):
            detail = f"Of the sizes {list(self.inside(shape))}, {list(after)} would be left; at least 1 must be."
            raise Invalid(detail, pointer=f"{at}/config/cropping")
        return self.with_sizes(shape, after)


@keras("Cropping1D")
class Cropping1D(Cropping):
    """Takes steps away; two numbers are for before and after."""

    axes: ClassVar[int] = 1

    cropping: Amount | Sides = 1

    def sides(self) -> tuple[Sides, ...]:
        """Return the amounts before and after."""
        return self.both(self.cropping if isinstance(self.cropping, int) else (self.cropping,))


@keras("Cropping2D")
class Cropping2D(Cropping):
    """Takes rows and columns away."""

    axes: ClassVar[int] = 2

    cropping: Amount | tuple[Amount | Sides, Amount | Sides] = 0

    def sides(self) -> tuple[Sides, ...]:
        """Return the amounts before and after each axis."""
        return self.both(self.cropping)


@keras("Cropping3D")
class Cropping3D(Cropping):
    """Takes slices, rows and columns away."""

    axes: ClassVar[int] = 3

    cropping: Amount | tuple[Amount | Sides, Amount | Sides, Amount | Sides] = 1

    def sides(self) -> tuple[Sides, ...]:
        """Return the amounts before and after each axis."""
        return self.both(self.cropping)


class Resized(Spatial):
    """A layer that gives images a height and width."""

    axes: ClassVar[int] = 2

    height: Size
    width: Size

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the wanted sizes."""
        ranked(shape, at, 4)
        return self.with_sizes(shape, (self.height, self.width))

    def before(self, shape: Shape, at: str) -> tuple[int, int]:
        """Return the height and width that reach the layer; Invalid where the file leaves them open."""
        height, width = (known(size, at, "image's size") for size in self.inside(shape))
        return height, width

    def cropped(self, shape: Shape, at: str) -> tuple[Sides, Sides]:
        """Return what is taken away around, so that an image has the wanted ratio of height to width."""
        height, width = self.before(shape, at)
        high = max(min(height, width * self.height // self.width), 1)
        wide = max(min(width, height * self.width // self.height), 1)
        top, left = (height - high) // 2, (width - wide) // 2
        return (top, height - high - top), (left, width - wide - left)


@keras("Resizing")
class Resizing(Resized):
    """Resizes images, numbers being the middles of cells."""

    interpolation: Word = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    fill_mode: Literal["constant"] = "constant"
    fill_value: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    antialias: bool = False
    bounding_box_format: str | None = None

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the wanted sizes."""
        sampled(self.interpolation, at)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            detail = "An image is cropped or padded to a ratio of height to width, not both."
            raise Invalid(detail, pointer=f"{at}/config/pad_to_aspect_ratio")
        if self.crop_to_aspect_ratio or self.pad_to_aspect_ratio:
            self.before(shape, at)
        return super().output(shape, at)

    def padded(self, shape: Shape, at: str) -> tuple[int, int]:
        """Return what is added above and below, left and right, so that an image has about the wanted ratio."""
        height, width = self.before(shape, at)
        high = max(height, width * self.height // self.width)
        wide = max(width, height * self.width // self.height)
        return (high - height) // 2, (wide - width) // 2


@keras("CenterCrop")
class CenterCrop(Resized):
    """Takes the middle of images; those that are too small are cropped to the ratio and resized."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the wanted sizes."""
        ranked(shape, at, 4)
        self.before(shape, at)
        return super().output(shape, at)
