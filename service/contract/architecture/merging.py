"""Layers that join several values, which only nodes can read."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict

from service.contract.architecture.axes import Axis, feature_axis, placed
from service.contract.architecture.base import SEQUENCE, VECTOR, Joint, Shape, fits
from service.contract.problem import Invalid


class Elementwise(Joint):
    """Adds, multiplies, averages … values number by number; an axis of size 1 is stretched to the others' size."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "add", "name": "sum", "inputs": ["a", "b"]}], "x-reads": [[8], [8]]}
    )

    kind: Literal["add", "multiply", "average", "maximum", "minimum"]

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the shape that all are stretched to."""
        return stretched(shapes, at)


class Difference(Joint):
    """The first value minus the second, or divided by it; an axis of size 1 is stretched to the other's size."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "subtract", "name": "change", "inputs": ["a", "b"]},
                {"kind": "divide", "name": "ratio", "inputs": ["a", "b"]},
            ],
            "x-reads": [[8], [1]],
        }
    )

    most: ClassVar[int] = 2

    kind: Literal["subtract", "divide"]

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the shape that both are stretched to."""
        return stretched(shapes, at)


class Concat(Joint):
    """Lays values behind each other along an axis."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "concat", "name": "all", "inputs": ["a", "b"]}],
            "x-reads": [[3, 9, 8], [2, 9, 8]],
        }
    )

    kind: Literal["concat"]
    axis: Axis | None = None
    """0 is the first behind the batch's, -1 the last; the features, or an image's channels, by default."""

    def along(self, shape: Shape, at: str = "") -> int:
        """Return the axis, counted from the front; Invalid where the shape has no such."""
        return feature_axis(shape) if self.axis is None else placed(self.axis, shape, f"{at}/axis")

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the shape with the sizes along the axis added up; the others must agree."""
        first = shapes[0]
        axis = self.along(first, at)
        if len({(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}) > 1:
            detail = f"The values must agree in all axes but axis {axis}; they have {_shown(shapes)}."
            raise Invalid(detail, pointer=f"{at}/inputs")
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


class Dot(Joint):
    """The inner product of two values along their last axis, which becomes 1 number; the cosine with `normalize`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "dot", "name": "alike", "inputs": ["a", "b"], "normalize": True}],
            "x-reads": [[7, 8], [7, 8]],
        }
    )

    most: ClassVar[int] = 2

    kind: Literal["dot"]
    normalize: bool = False
    """Whether each is divided by its length first."""

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the shape with a last axis of size 1; both must have one shape."""
        fits(shapes[0], at, VECTOR, SEQUENCE)
        if shapes[0] != shapes[1]:
            detail = f"The values must have one shape; they have {_shown(shapes)}."
            raise Invalid(detail, pointer=f"{at}/inputs")
        return (*shapes[0][:-1], 1)


class Matmul(Joint):
    """The matrix product of two values, the second perhaps transposed: both of attention's products."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "matmul", "name": "scores", "inputs": ["a", "b"], "transpose": True}],
            "x-reads": [[7, 8], [5, 8]],
        }
    )

    most: ClassVar[int] = 2

    kind: Literal["matmul"]
    transpose: bool = False
    """Whether the second value's last two axes change places first."""

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return (…, rows of the first, columns of the second); the axes before must agree."""
        one, other = shapes
        if len(one) != len(other) or len(one) < SEQUENCE or one[:-2] != other[:-2]:
            detail = (
                f"A matrix product takes values of 2 axes or more that agree before them; they have {_shown(shapes)}."
            )
            raise Invalid(detail, pointer=f"{at}/inputs")
        inner, columns = other[:-3:-1] if self.transpose else other[-2:]
        if one[-1] != inner:
            detail = f"The first value's rows hold {one[-1]} numbers, the second's columns {inner}: {_shown(shapes)}."
            raise Invalid(detail, pointer=f"{at}/inputs")
        return (*one[:-1], columns)


def stretched(shapes: tuple[Shape, ...], at: str) -> Shape:
    """Return the shape that all have where axes of size 1 are stretched; Invalid where there is none."""
    sizes = [{size for size in axis if size > 1} for axis in zip(*shapes, strict=False)]
    if len({len(shape) for shape in shapes}) > 1 or any(len(each) > 1 for each in sizes):
        detail = f"The values must have one shape, or 1 where they differ; they have {_shown(shapes)}."
        raise Invalid(detail, pointer=f"{at}/inputs")
    return tuple(max(each, default=1) for each in sizes)


def _shown(shapes: tuple[Shape, ...]) -> str:
    return " and ".join(str(list(shape)) for shape in shapes)


Merges: TypeAlias = Elementwise | Difference | Concat | Dot | Matmul
