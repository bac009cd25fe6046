"""What every layer shares, and the shapes that layers pass on."""

from math import prod
from typing import Annotated, TypeAlias

from pydantic import Field

from service.contract.base import Contract
from service.contract.problem import Invalid, TooComplex

MOST_NUMBERS = 2**26
"""Most numbers that one sample may take between two layers."""

Shape: TypeAlias = tuple[int, ...]
"""Sizes of one sample, without the batch axis: (features), (time, features), or (channels, height, width)."""

Size = Annotated[int, Field(ge=1, le=65_536)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]

VECTOR, SEQUENCE, IMAGE = 1, 2, 3
_FORMS = {VECTOR: "(features)", SEQUENCE: "(time, features)", IMAGE: "(channels, height, width)"}


class LayerBase(Contract):
    """A layer of the chain: it says what it makes of a shape, and how many weights it takes for that."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=100)
    """What reports call the layer; unique among its siblings."""

    def output(self, shape: Shape, at: str) -> Shape:  # noqa: ARG002  for layers that look at it
        """Return the shape after this layer; Invalid, pointing at `at` or below it, where `shape` does not fit."""
        return shape

    def weights(self, shape: Shape) -> int:  # noqa: ARG002  for layers that look at it
        """Return how many trained numbers the layer holds on an input that `output` accepts."""
        return 0


def fits(shape: Shape, at: str, *ranks: int) -> None:
    """Pass a shape with one of these ranks; Invalid otherwise."""
    if len(shape) not in ranks:
        wanted = " or ".join(_FORMS[rank] for rank in ranks)
        detail = f"The layer takes {wanted}; what reaches it has the shape {list(shape)}."
        raise Invalid(detail, pointer=at)


def bounded(shape: Shape, at: str) -> Shape:
    """Return `shape` if one sample of it is not over the limit; TooComplex otherwise."""
    if prod(shape) > MOST_NUMBERS:
        detail = f"One sample takes {prod(shape)} numbers here (shape {list(shape)}); the limit is {MOST_NUMBERS}."
        raise TooComplex(detail, pointer=at)
    return shape


def channels(shape: Shape) -> int:
    """Return the number of channels of an image, or of features of a vector or sequence."""
    return shape[0] if len(shape) == IMAGE else shape[-1]
