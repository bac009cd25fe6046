"""Noise in training, and penalties on what passes."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from service.contract.problem import Invalid
from service.keras.base import KerasLayer, Shape, ranked, shown
from service.keras.layers import keras

Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Level = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Noise(KerasLayer):
    """A layer that changes what passes in training alone."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"


class Dropping(Noise):
    """A layer that drops numbers; where noise_shape is 1, one draw holds along the axis."""

    noise_shape: list[Annotated[int, Field(ge=1)] | None] | None = None

    def shared(self, shape: Shape) -> tuple[int, ...]:
        """Return the axes, the batch's being 0, along which one draw holds."""
        sizes = (None, *shape)
        given = self.noise_shape or ()
        return tuple(axis for axis, size in enumerate(given) if size == 1 and sizes[axis] != 1)

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which noise_shape must fit."""
        given = self.noise_shape
        if given is not None and (
            len(given) != len(shape) + 1
            or any(size not in {None, 1, whole} for size, whole in zip(given[1:], shape, strict=True))
            or given[0] not in {None, 1}
        ):
            detail = f"The noise's shape {given} does not fit {shown(shape)}: each size is the input's, 1, or null."
            raise Invalid(detail, pointer=f"{at}/config/noise_shape")
        return shape


@keras("Dropout")
class Dropout(Dropping):
    """Zeroes a share of the numbers and scales the others up."""

    rate: Rate


@keras("AlphaDropout")
class AlphaDropout(Dropping):
    """Dropout that keeps mean 0 and variance 1, beside SELU."""

    rate: Share


@keras("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
class SpatialDropout(Noise):
    """Dropout of whole channels."""

    rate: Share
    data_format: Literal["channels_last", "channels_first"] | None = None

    def shared(self, shape: Shape) -> tuple[int, ...]:
        """Return the axes along which one draw holds: all but the batch's and the channels'."""
        axes = range(1, len(shape) + 1)
        return tuple(axes[1:] if self.data_format == "channels_first" else axes[:-1])

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have as many axes as the layer's name says."""
        ranked(shape, at, int(self.kind[-2]) + 2)
        return shape


@keras("GaussianDropout")
class GaussianDropout(Noise):
    """Multiplies each number by a normal one of mean 1 and variance rate / (1 - rate)."""

    rate: Share


@keras("GaussianNoise")
class GaussianNoise(Noise):
    """Adds a normal number of mean 0 to each."""

    stddev: Level


@keras("ActivityRegularization")
class ActivityRegularization(Noise):
    """Adds what passes to the loss."""

    l1: Level = 0.0
    l2: Level = 0.0

    def notes(self) -> Iterator[str]:
        """Yield that the penalty is left out."""
        if self.l1 or self.l2:
            yield f"The penalty of {self.name!r} on what passes it is left out of the loss; those on weights are not."
