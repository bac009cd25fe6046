"""Layers that change inner sizes without weights: upsampling, padding, cropping."""

from typing import Any, ClassVar, TypeAlias

from pydantic import field_validator

from service.contract.problem import Invalid
from service.keras.base import Shape, ranked
from service.keras.interpolation import Word, sampled
from service.keras.layers import keras
from service.keras.sliding import MOST, Sizes, Spatial

Sides: TypeAlias = tuple[int, int]


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
    """A layer with an amount for each side of each inner axis: one for all, one for an axis, or before and after."""

    @field_validator("padding", "cropping", mode="plain", check_fields=False)
    @classmethod
    def _amounts(cls, given: Any) -> tuple[Sides, ...]:  # noqa: ANN401  what the file holds
        one = isinstance(given, int) or cls.axes == 1
        sides = tuple(map(_side, [given] * cls.axes if one else given if isinstance(given, list) else []))
        if len(sides) != cls.axes or not all(type(each) is int and 0 <= each <= MOST for two in sides for each in two):
            amount = f"a whole number from 0 to {MOST}"
            msg = f"{amount}, or one (or two, for before and after) for each of {cls.axes} axes, is expected"
            raise ValueError(msg)
        return sides


def _side(given: Any) -> tuple[Any, Any]:  # noqa: ANN401  what the file holds
    before, after = given if isinstance(given, list) and len(given) == 2 else (given, given)  # noqa: PLR2004  two sides
    return before, after


class ZeroPadding(Sided):
    """Adds zeros around."""

    padding: tuple[Sides, ...]

    def output(self, shape: Shape, at: str) -> Shape:
        """Add the amounts."""
        ranked(shape, at, self.axes + 2)
        pairs = zip(self.inside(shape), self.padding, strict=True)
        return self.with_sizes(shape, tuple(size and size + sum(sides) for size, sides in pairs))


@keras("ZeroPadding1D")
class ZeroPadding1D(ZeroPadding):
    """Adds steps of zeros."""

    axes: ClassVar[int] = 1

    padding: tuple[Sides, ...] = ((1, 1),)


@keras("ZeroPadding2D")
class ZeroPadding2D(ZeroPadding):
    """Adds zeros around images."""

    axes: ClassVar[int] = 2

    padding: tuple[Sides, ...] = ((1, 1),) * 2


@keras("ZeroPadding3D")
class ZeroPadding3D(ZeroPadding):
    """Adds zeros around volumes."""

    axes: ClassVar[int] = 3

    padding: tuple[Sides, ...] = ((1, 1),) * 3


class Cropping(Sided):
    """Takes numbers away around."""

    cropping: tuple[Sides, ...]

    def output(self, shape: Shape, at: str) -> Shape:
        """Take the amounts away; Invalid where nothing is left."""
        ranked(shape, at, self.axes + 2)
        pairs = zip(self.inside(shape), self.cropping, strict=True)
        after = tuple(size if size is None else size - sum(sides) for size, sides in pairs)
        if any(size is not None and size < 1 for size in after):
            detail = f"Of the sizes {list(self.inside(shape))}, {list(after)} would be left; at least 1 must be."
            raise Invalid(detail, pointer=f"{at}/config/cropping")
        return self.with_sizes(shape, after)


@keras("Cropping1D")
class Cropping1D(Cropping):
    """Takes steps away."""

    axes: ClassVar[int] = 1

    cropping: tuple[Sides, ...] = ((1, 1),)


@keras("Cropping2D")
class Cropping2D(Cropping):
    """Takes rows and columns away."""

    axes: ClassVar[int] = 2

    cropping: tuple[Sides, ...] = ((0, 0),) * 2


@keras("Cropping3D")
class Cropping3D(Cropping):
    """Takes slices, rows and columns away."""

    axes: ClassVar[int] = 3

    cropping: tuple[Sides, ...] = ((1, 1),) * 3
