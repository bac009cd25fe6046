"""Normalizations, each with a learned scale and shift.

Channels are the first axis of an image and the last of a vector or a sequence.
"""

from math import prod
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import IMAGE, SEQUENCE, LayerBase, Shape, Size, channels, fits
from service.contract.problem import Invalid

Epsilon = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class BatchNorm(LayerBase):
    """Normalizes each channel over the batch (and over time, height and width)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "batch_norm"}]})

    kind: Literal["batch_norm"]
    epsilon: Epsilon = 1e-5
    momentum: float = Field(default=0.9, ge=0, lt=1, allow_inf_nan=False)
    """The share of the old running statistics that a step keeps, as in ONNX and Keras; 1 minus PyTorch's."""
    scale: float = Field(default=1, ge=-1e6, le=1e6, allow_inf_nan=False)
    """Where the learned scale starts; 0 makes the last normalization of a residual branch a zero-init."""

    def weights(self, shape: Shape) -> int:
        """Return a scale and a shift per channel."""
        return 2 * channels(shape)


class LayerNorm(LayerBase):
    """Normalizes each sample over its features: the last axis, or all of an image."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "layer_norm"}]})

    kind: Literal["layer_norm"]
    epsilon: Epsilon = 1e-5

    def weights(self, shape: Shape) -> int:
        """Return a scale and a shift per normalized number."""
        return 2 * normalized(shape)


class RmsNorm(LayerBase):
    """Divides each sample by its root mean square over its features: the last axis, or all of an image."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "rms_norm"}]})

    kind: Literal["rms_norm"]
    epsilon: Epsilon = 1e-6

    def weights(self, shape: Shape) -> int:
        """Return a scale per normalized number."""
        return normalized(shape)


class GroupNorm(LayerBase):
    """Normalizes each sample over groups of channels."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "group_norm", "groups": 1}]})

    kind: Literal["group_norm"]
    groups: Size
    epsilon: Epsilon = 1e-5

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape; the channels must divide into the groups."""
        if channels(shape) % self.groups:
            detail = f"The {channels(shape)} channels do not divide into {self.groups} groups."
            raise Invalid(detail, pointer=f"{at}/groups")
        return shape

    def weights(self, shape: Shape) -> int:
        """Return a scale and a shift per channel."""
        return 2 * channels(shape)


class InstanceNorm(LayerBase):
    """Normalizes each channel of each sample over time, or over height and width."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "instance_norm"}]})

    kind: Literal["instance_norm"]
    epsilon: Epsilon = 1e-5

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have axes to normalize over."""
        fits(shape, at, SEQUENCE, IMAGE)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return a scale and a shift per channel."""
        return 2 * channels(shape)


def normalized(shape: Shape) -> int:
    """Return how many numbers are normalized together: the features, or all of an image."""
    return prod(shape) if len(shape) == IMAGE else shape[-1]


Norms: TypeAlias = BatchNorm | LayerNorm | RmsNorm | GroupNorm | InstanceNorm
