"""Normalizations, most with a learned scale and shift.

Channels are the first axis of an image or volume and the last of a vector or a sequence.
"""

from math import prod
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field

from service.contract.architecture.axes import Axes, all_placed
from service.contract.architecture.base import IMAGE, SEQUENCE, VOLUME, Finite, LayerBase, Shape, Size, channels, fits
from service.contract.architecture.laws import Positive
from service.contract.problem import Invalid

Epsilon = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


def _false(given: Any) -> Any:  # noqa: ANN401  pydantic hands over whatever the caller sent
    if given is not False:
        msg = "a number, or false, is expected"
        raise ValueError(msg)
    return given


Start: TypeAlias = Finite | Annotated[Literal[False], BeforeValidator(_false)]
"""Where a learned number starts; false, which 0 is not, where there is none."""


class Affine(LayerBase):
    """A normalization with a learned scale and a learned shift."""

    epsilon: Epsilon = 1e-5
    """Added to the variance."""
    scale: Start = 1
    """Where the learned scale starts, or false for none; 0 makes the last one of a residual branch a zero-init."""
    shift: Start = 0
    """Where the learned shift starts, or false for none."""

    def learns(self, shape: Shape) -> Shape:
        """Return the shape of the scale and of the shift."""
        return (channels(shape),)

    def weights(self, shape: Shape) -> int:
        """Return a scale and a shift per channel, or per number that is normalized, as far as they are learned."""
        return prod(self.learns(shape)) * ((self.scale is not False) + (self.shift is not False))


class BatchNorm(Affine):
    """Normalizes each channel over the batch (and over time, height and width)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "batch_norm"}]})

    kind: Literal["batch_norm"]
    momentum: float = Field(default=0.9, ge=0, lt=1, allow_inf_nan=False)
    """The share of the old running statistics that a step keeps, as in ONNX and Keras; 1 minus PyTorch's."""


class Sample(LayerBase):
    """A normalization of each sample on its own over some axes."""

    axes: Axes | None = None
    """0 is the first behind the batch's, -1 the last; by default the last, or all of an image."""

    def over(self, shape: Shape, at: str = "") -> tuple[int, ...]:
        """Return the axes that are normalized together, in order; Invalid where the shape lacks one."""
        if self.axes is None:
            return tuple(range(len(shape))) if len(shape) >= IMAGE else (len(shape) - 1,)
        return all_placed(self.axes, shape, f"{at}/axes")

    def learns(self, shape: Shape) -> Shape:
        """Return the sizes of the axes."""
        return tuple(shape[axis] for axis in self.over(shape))

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have the axes."""
        self.over(shape, at)
        return shape


class LayerNorm(Sample, Affine):
    """Normalizes each sample over its features: the last axis, or all of an image, or the axes that are named."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "layer_norm", "axes": [0]}], "x-reads": [[3, 9, 8]]}
    )

    kind: Literal["layer_norm"]


class RmsNorm(Sample):
    """Divides each sample by its root mean square over its features: the last axis, all of an image, or named axes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "rms_norm"}]})

    kind: Literal["rms_norm"]
    epsilon: Epsilon = 1e-6
    """Added to the mean square."""
    scale: Start = 1
    """Where the learned scale starts; false for none."""

    def weights(self, shape: Shape) -> int:
        """Return a scale per normalized number, if it is learned."""
        return 0 if self.scale is False else prod(self.learns(shape))


class UnitNorm(Sample):
    """Divides each sample by its length along the features (channels of an image), or along the axes that are named."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "unit_norm"}]})

    kind: Literal["unit_norm"]
    p: Literal[1, 2] = 2
    """Whether the length is the sum of magnitudes, or Euclid's."""
    epsilon: Epsilon = 1e-12
    """The smallest length that is divided by."""

    def over(self, shape: Shape, at: str = "") -> tuple[int, ...]:
        """Return the axes along which the length is measured."""
        if self.axes is None:
            return (0,) if len(shape) >= IMAGE else (len(shape) - 1,)
        return super().over(shape, at)


class GroupNorm(Affine):
    """Normalizes each sample over groups of channels."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "group_norm", "groups": 1}]})

    kind: Literal["group_norm"]
    groups: Size

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape; the channels must divide into the groups."""
        if channels(shape) % self.groups:
            detail = f"The {channels(shape)} channels do not divide into {self.groups} groups."
            raise Invalid(detail, pointer=f"{at}/groups")
        return shape


class InstanceNorm(Affine):
    """Normalizes each channel of each sample over time, over height and width, or over a volume."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "instance_norm"}]})

    kind: Literal["instance_norm"]

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have axes to normalize over."""
        fits(shape, at, SEQUENCE, IMAGE, VOLUME)
        return shape


class LocalResponseNorm(LayerBase):
    """Divides each number of an image by (k + alpha · mean square over `size` neighbouring channels)^beta."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "local_response_norm"}], "x-reads": [[6, 9, 8]]})

    kind: Literal["local_response_norm"]
    size: Annotated[int, Field(ge=1, le=1023)] = 5
    """How many channels, the number's own in the middle: odd."""
    alpha: Positive = 1e-4
    beta: Positive = 0.75
    k: Positive = 1.0

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must be an image's."""
        fits(shape, at, IMAGE)
        if self.size % 2 == 0:
            detail = f"The size is {self.size}; it must be odd, so that a channel has as many neighbours on each side."
            raise Invalid(detail, pointer=f"{at}/size")
        return shape


Norms: TypeAlias = BatchNorm | LayerNorm | RmsNorm | UnitNorm | GroupNorm | InstanceNorm | LocalResponseNorm
