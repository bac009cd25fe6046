"""Axes of a sample by number: 0 is the first behind the batch's, -1 the last."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field

from service.contract.architecture.base import IMAGE, Shape
from service.contract.problem import Invalid

Axis: TypeAlias = Annotated[int, Field(ge=-4, le=3)]
Axes: TypeAlias = Annotated[tuple[Axis, ...], Field(min_length=1, max_length=4)]


def feature_axis(shape: Shape) -> int:
    """Return the axis of an image's or volume's channels, or of a vector's or sequence's features."""
    return 0 if len(shape) >= IMAGE else len(shape) - 1


def placed(axis: int, shape: Shape, at: str) -> int:
    """Return an axis counted from the front; Invalid, pointing at `at`, where the shape has no such."""
    if not -len(shape) <= axis < len(shape):
        detail = f"There is no axis {axis}; what reaches the layer has the shape {list(shape)}."
        raise Invalid(detail, pointer=at)
    return axis % len(shape)


def all_placed(axes: Sequence[int], shape: Shape, at: str) -> tuple[int, ...]:
    """Return axes counted from the front, in order; Invalid where the shape lacks one, or one is named twice."""
    found = sorted(placed(axis, shape, f"{at}/{index}") for index, axis in enumerate(axes))
    if len(set(found)) < len(found):
        detail = f"The axes {list(axes)} name one axis twice."
        raise Invalid(detail, pointer=at)
    return tuple(found)
