"""Layers that multiply by a matrix: dense, and the table look-up of tokens."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import SEQUENCE, VECTOR, DType, LayerBase, Shape, Size, fits
from service.contract.architecture.laws import Init, InitSpec


class Dense(LayerBase):
    """y = x K + b along the last axis; K has the shape (features, units)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "dense", "units": 64, "init": "he_normal", "name": "fc1"}]}
    )

    kind: Literal["dense"]
    units: Size
    bias: bool = True
    init: InitSpec = Init()

    def output(self, shape: Shape, at: str) -> Shape:
        """Exchange the last axis; images must be flattened first."""
        fits(shape, at, VECTOR, SEQUENCE)
        return (*shape[:-1], self.units)

    def weights(self, shape: Shape) -> int:
        """Return features · units, and units for the bias."""
        return (shape[-1] + self.bias) * self.units


class Embedding(LayerBase):
    """Looks each token up in a table of `classes` rows."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "embedding", "classes": 1000, "dim": 32}], "x-reads": [[7]]}
    )

    reads: ClassVar[DType] = "int64"

    kind: Literal["embedding"]
    classes: int = Field(ge=1, le=10_000_000)
    dim: Size
    init: InitSpec = Init()

    def output(self, shape: Shape, at: str) -> Shape:
        """Append the axis of features."""
        fits(shape, at, VECTOR)
        return (*shape, self.dim)

    def weights(self, shape: Shape) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return classes · dim."""
        return self.classes * self.dim


Denses: TypeAlias = Dense | Embedding
