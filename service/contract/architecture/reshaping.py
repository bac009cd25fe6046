"""Layers that move numbers about, or drop some."""

from math import prod
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import LayerBase, Shape, Share, Size
from service.contract.problem import Invalid


class Flatten(LayerBase):
    """Lays all numbers of a sample in a row."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "flatten"}]})

    kind: Literal["flatten"]

    def output(self, shape: Shape, at: str) -> Shape:  # noqa: ARG002  every layer is asked in the same way
        """Return (all)."""
        return (prod(shape),)


class Reshape(LayerBase):
    """Gives a sample another shape with as many numbers, read row by row."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "reshape", "shape": [2, 4]}], "x-reads": [[8]]})

    kind: Literal["reshape"]
    shape: Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)]

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the new shape."""
        if prod(shape) != prod(self.shape):
            detail = f"The shape {list(self.shape)} holds {prod(self.shape)} numbers; {prod(shape)} reach the layer."
            raise Invalid(detail, pointer=f"{at}/shape")
        return self.shape


class Permute(LayerBase):
    """Puts the axes of a sample in another order; axis 0 is the first after the batch's."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "permute", "axes": [1, 0]}]})

    kind: Literal["permute"]
    axes: Annotated[tuple[int, ...], Field(min_length=1, max_length=3)]

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the sizes in the new order."""
        if sorted(self.axes) != list(range(len(shape))):
            detail = f"The axes {list(self.axes)} are not an order of the {len(shape)} axes of {list(shape)}."
            raise Invalid(detail, pointer=f"{at}/axes")
        return tuple(shape[axis] for axis in self.axes)


class Dropout(LayerBase):
    """In training, zeroes a share of the numbers and scales the others up; nothing in evaluation."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "dropout", "rate": 0.5}]})

    kind: Literal["dropout"]
    rate: Share


Reshapings: TypeAlias = Flatten | Reshape | Permute | Dropout
