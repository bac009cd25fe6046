"""Layers that move numbers about."""

from math import prod
from typing import Annotated, Literal

from pydantic import Field

from service.contract.problem import Invalid
from service.keras.base import KerasLayer, Shape, ranked, shown
from service.keras.layers import keras

Size = Annotated[int, Field(ge=1, le=2**26)]


@keras("Flatten")
class Flatten(KerasLayer):
    """Lays all numbers of a sample in a row; channels that stand first are put last before."""

    data_format: Literal["channels_last", "channels_first"] | None = None

    def output(self, shape: Shape, at: str) -> Shape:  # noqa: ARG002  every layer is asked in the same way
        """Return how many numbers there are; None where a size is open."""
        return (None,) if None in shape else (prod(size or 1 for size in shape),)


@keras("Reshape")
class Reshape(KerasLayer):
    """Another shape with as many numbers, read row by row."""

    target_shape: list[Size | Literal[-1] | None]

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the new shape; one size, -1, is what is left, if that is known."""
        target = self.target_shape
        free = [place for place, size in enumerate(target) if size in {-1, None}]
        named = prod(size for size in target if size is not None and size > 0)
        if len(free) > 1:
            detail = f"The shape {target} leaves {len(free)} sizes open; one can be found."
            raise Invalid(detail, pointer=f"{at}/config/target_shape")
        if None in shape:
            return tuple(None if place in free else size for place, size in enumerate(target))
        numbers = prod(size or 1 for size in shape)
        if numbers % named if free else numbers != named:
            detail = f"The shape {target} holds {named} numbers; {numbers} reach the layer, as {shown(shape)}."
            raise Invalid(detail, pointer=f"{at}/config/target_shape")
        return tuple(numbers // named if place in free else size for place, size in enumerate(target))


@keras("Permute")
class Permute(KerasLayer):
    """The axes in another order; 1 is the first behind the batch's."""

    dims: list[int]

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the sizes in the new order."""
        if sorted(self.dims) != list(range(1, len(shape) + 1)):
            detail = f"{self.dims} is no order of the axes of {shown(shape)} behind the batch's."
            raise Invalid(detail, pointer=f"{at}/config/dims")
        return tuple(shape[axis - 1] for axis in self.dims)


@keras("RepeatVector")
class RepeatVector(KerasLayer):
    """A vector n times over, as a sequence."""

    n: Size

    def output(self, shape: Shape, at: str) -> Shape:
        """Return (n, features)."""
        ranked(shape, at, 2)
        return (self.n, *shape)
