"""Layers that multiply by a matrix: dense and bilinear, and the table look-up of tokens."""

from typing import ClassVar, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from service.contract.architecture.base import SEQUENCE, VECTOR, DType, Joint, LayerBase, Shape, Signal, Size, fits
from service.contract.architecture.laws import Init, InitSpec
from service.contract.problem import Invalid


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
        """Exchange the last axis; images must be flattened first, or go through a convolution with a kernel of 1."""
        fits(shape, at, VECTOR, SEQUENCE)
        self.init.suits((shape[-1], self.units), at)
        return (*shape[:-1], self.units)

    def weights(self, shape: Shape) -> int:
        """Return features · units, and units for the bias."""
        return (shape[-1] + self.bias) * self.units


class Bilinear(Joint):
    """y = x₁ᵀ K x₂ + b along the last axes of two values; K is (units, features of x₁, features of x₂)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "bilinear", "name": "score", "units": 3, "inputs": ["a", "b"]}],
            "x-reads": [[4], [5]],
        }
    )

    fewest: ClassVar[int] = 2
    most: ClassVar[int] = 2

    kind: Literal["bilinear"]
    units: Size
    bias: bool = True
    init: InitSpec = Init()

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the first value's shape with `units` features; the two may differ in their features alone."""
        one, other = shapes
        for shape in shapes:
            fits(shape, at, VECTOR, SEQUENCE)
        if one[:-1] != other[:-1]:
            detail = f"The values may differ in their last axis alone; they have {list(one)} and {list(other)}."
            raise Invalid(detail, pointer=f"{at}/inputs")
        return (*one[:-1], self.units)

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return units · features of x₁ · features of x₂, and units for the bias."""
        one, other = (each.shape[-1] for each in given)
        return self.units * (one * other + self.bias)


class Embedding(LayerBase):
    """Looks each token up in a table of `classes` rows."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "embedding", "classes": 1000, "dim": 32}], "x-reads": [[7]]}
    )

    reads: ClassVar[DType] = "int64"

    kind: Literal["embedding"]
    classes: int = Field(ge=1, le=10_000_000)
    dim: Size
    padding: int | None = Field(default=None, ge=0)
    """The token that fills up: it is looked up as zeros, and its row never learns."""
    init: InitSpec = Init()

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.padding is not None and self.padding >= self.classes:
            msg = f"padding is {self.padding}, and there are {self.classes} classes; it must be one of them, from 0"
            raise ValueError(msg)
        return self

    def output(self, shape: Shape, at: str) -> Shape:
        """Append the axis of features."""
        fits(shape, at, VECTOR)
        return (*shape, self.dim)

    def weights(self, shape: Shape) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return classes · dim."""
        return self.classes * self.dim


Denses: TypeAlias = Dense | Bilinear | Embedding
