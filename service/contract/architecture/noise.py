"""Noise in training: what is dropped or added there; in evaluation, numbers pass as they are."""

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import IMAGE, SEQUENCE, VOLUME, LayerBase, Shape, Share, fits


class Dropout(LayerBase):
    """In training, zeroes a share of the numbers and scales the others up; nothing in evaluation."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "dropout", "rate": 0.5}]})

    kind: Literal["dropout"]
    rate: Share


class SpatialDropout(LayerBase):
    """Dropout of whole channels: all steps of a feature, or all places of an image's channel."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "spatial_dropout", "rate": 0.5}]})

    kind: Literal["spatial_dropout"]
    rate: Share

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have channels."""
        fits(shape, at, SEQUENCE, IMAGE, VOLUME)
        return shape


class AlphaDropout(LayerBase):
    """Dropout that keeps mean 0 and variance 1, beside `selu`: a share of the numbers becomes SELU's lowest."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "alpha_dropout", "rate": 0.1}]})

    kind: Literal["alpha_dropout"]
    rate: Share


class GaussianDropout(LayerBase):
    """In training, multiplies each number by a normal one of mean 1 and variance rate / (1 - rate)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "gaussian_dropout", "rate": 0.1}]})

    kind: Literal["gaussian_dropout"]
    rate: Share


class GaussianNoise(LayerBase):
    """In training, adds a normal number of mean 0 to each."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "gaussian_noise", "std": 0.1}]})

    kind: Literal["gaussian_noise"]
    std: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


Noises: TypeAlias = Dropout | SpatialDropout | AlphaDropout | GaussianDropout | GaussianNoise
