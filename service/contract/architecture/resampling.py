"""Layers that change the inner sizes without weights: upsampling, padding, cropping, and pixels for channels."""

from math import floor
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, model_validator

from service.contract.architecture.base import IMAGE, SEQUENCE, VECTOR, VOLUME, Finite, LayerBase, Shape, Size, fits
from service.contract.architecture.window import Amount, Pads, Step, inner, with_inner
from service.contract.problem import Invalid

Factor = Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)]


Some = TypeVar("Some", int, float)

ROUNDING: Final = 1e-6
"""How far a factor times a size may be from a whole number that is meant."""


class Upsample(LayerBase):
    """Samples the inner axes anew: `factor` times as many numbers along each, or as many as `size` says.

    `nearest` repeats numbers; `linear` is bilinear on images, trilinear on volumes; `cubic` is for images.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "upsample", "factor": 2, "mode": "linear"}], "x-reads": [[3, 4, 5]]}
    )

    kind: Literal["upsample"]
    factor: Factor | Annotated[tuple[Factor, ...], Field(min_length=1, max_length=3)] | None = None
    size: Size | Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)] | None = None
    mode: Literal["nearest", "linear", "cubic"] = "nearest"
    align_corners: bool = False
    """Whether the first and last numbers stay where they are; otherwise numbers are the middles of cells."""

    @model_validator(mode="after")
    def _either(self) -> "Upsample":
        if (self.factor is None) == (self.size is None):
            msg = "an upsampling has a `factor` or a `size`; one of the two"
            raise ValueError(msg)
        if self.align_corners and self.mode == "nearest":
            msg = "align_corners goes with the modes linear and cubic"
            raise ValueError(msg)
        return self

    def sizes(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return the sizes that come out; Invalid where there is not one number per axis."""
        before = inner(shape)
        if self.size is not None:
            return _each(self.size, len(before), f"{at}/size")
        factors = _each(self.factor or 1, len(before), f"{at}/factor")
        return tuple(floor(size * factor + ROUNDING) for size, factor in zip(before, factors, strict=True))

    def output(self, shape: Shape, at: str) -> Shape:
        """Give the inner axes other sizes."""
        fits(shape, at, *((IMAGE,) if self.mode == "cubic" else (SEQUENCE, IMAGE, VOLUME)))
        sizes = self.sizes(shape, at)
        if min(sizes) < 1:
            detail = f"The factor leaves the sizes {list(sizes)} of {list(inner(shape))}; at least 1 must come out."
            raise Invalid(detail, pointer=f"{at}/factor")
        return with_inner(shape, sizes)


def _each(value: Some | tuple[Some, ...], axes: int, at: str) -> tuple[Some, ...]:
    """Return one number per axis; Invalid where there are more or fewer."""
    values = value if isinstance(value, tuple) else (value,) * axes
    if len(values) != axes:
        detail = f"There are {len(values)} numbers for {axes} axes; one number is for all of them."
        raise Invalid(detail, pointer=at)
    return values


Side: TypeAlias = Amount | tuple[Amount, Amount]


class Sides(LayerBase):
    """A layer with an amount for each side of each axis behind the channels, or before a sequence's features."""

    amounts: Amount | Annotated[tuple[Side, ...], Field(min_length=1, max_length=3)]
    """One for all sides; or, for each axis, one for both sides or [before, after]."""

    def sides(self, shape: Shape, at: str) -> Pads:
        """Return the amounts before and after each axis; Invalid where there is not one per axis."""
        axes = len(inner(shape))
        amounts = self.amounts if isinstance(self.amounts, tuple) else (self.amounts,) * axes
        if len(amounts) != axes:
            detail = f"There are amounts for {len(amounts)} axes; what reaches the layer has {axes}."
            raise Invalid(detail, pointer=f"{at}/amounts")
        return tuple((each, each) if isinstance(each, int) else each for each in amounts)


class Pad(Sides):
    """Adds numbers around: a constant, a reflection without the edge, the edge itself, or the other end's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "pad", "amounts": [1, [0, 2]], "mode": "reflect"}],
            "x-reads": [[3, 4, 5]],
        }
    )

    kind: Literal["pad"]
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    value: Finite = 0.0
    """What is added, where it is a constant."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Add the amounts to the inner sizes."""
        fits(shape, at, VECTOR, SEQUENCE, IMAGE, VOLUME)
        sides = self.sides(shape, at)
        for size, amounts in zip(inner(shape), sides, strict=True):
            most = {"reflect": size - 1, "circular": size}.get(self.mode)
            if most is not None and max(amounts) > most:
                detail = f"The mode {self.mode!r} can add {most} to a size of {size}; the amount is {max(amounts)}."
                raise Invalid(detail, pointer=f"{at}/amounts")
        return with_inner(shape, tuple(size + sum(two) for size, two in zip(inner(shape), sides, strict=True)))


class Crop(Sides):
    """Takes numbers away around."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "crop", "amounts": [[1, 0], 1]}], "x-reads": [[3, 4, 5]]}
    )

    kind: Literal["crop"]

    def output(self, shape: Shape, at: str) -> Shape:
        """Take the amounts from the inner sizes; Invalid where nothing is left."""
        fits(shape, at, VECTOR, SEQUENCE, IMAGE, VOLUME)
        after = tuple(size - sum(two) for size, two in zip(inner(shape), self.sides(shape, at), strict=True))
        if min(after) < 1:
            detail = f"Of the sizes {list(inner(shape))}, {list(after)} would be left; at least 1 must be."
            raise Invalid(detail, pointer=f"{at}/amounts")
        return with_inner(shape, after)


class PixelShuffle(LayerBase):
    """Lays factor² channels out as a square of pixels: (c · r², h, w) becomes (c, h · r, w · r)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "pixel_shuffle", "factor": 2}], "x-reads": [[8, 3, 4]]}
    )

    kind: Literal["pixel_shuffle"]
    factor: Step

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the larger image; Invalid where factor² does not divide the channels."""
        fits(shape, at, IMAGE)
        _divides(self.factor**2, shape[0], "channels", f"{at}/factor")
        return (shape[0] // self.factor**2, shape[1] * self.factor, shape[2] * self.factor)


class PixelUnshuffle(LayerBase):
    """Lays squares of pixels out as channels, the way back of a pixel shuffle."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "pixel_unshuffle", "factor": 2}], "x-reads": [[2, 6, 4]]}
    )

    kind: Literal["pixel_unshuffle"]
    factor: Step

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the smaller image; Invalid where the factor does not divide height and width."""
        fits(shape, at, IMAGE)
        _divides(self.factor, shape[1], "rows", f"{at}/factor")
        _divides(self.factor, shape[2], "columns", f"{at}/factor")
        return (shape[0] * self.factor**2, shape[1] // self.factor, shape[2] // self.factor)


class ChannelShuffle(LayerBase):
    """Deals the channels of an image out like cards: the first of each group, then the second of each …"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "channel_shuffle", "groups": 2}], "x-reads": [[6, 3, 4]]}
    )

    kind: Literal["channel_shuffle"]
    groups: Step

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the same shape; Invalid where the groups do not divide the channels."""
        fits(shape, at, IMAGE, VOLUME)
        _divides(self.groups, shape[0], "channels", f"{at}/groups")
        return shape


def _divides(by: int, count: int, what: str, at: str) -> None:
    if count % by:
        detail = f"The {count} {what} do not divide by {by}."
        raise Invalid(detail, pointer=at)


Resamplings: TypeAlias = Upsample | Pad | Crop | PixelShuffle | PixelUnshuffle | ChannelShuffle
