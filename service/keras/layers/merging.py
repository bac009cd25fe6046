"""Layers that join several tensors."""

from collections.abc import Sequence
from typing import Any

from service.contract.problem import Invalid
from service.keras.axes import inner_axis
from service.keras.base import Call, KerasLayer, Shape, shown
from service.keras.layers import keras


class Merge(KerasLayer):
    """A layer of several tensors."""

    def held(self, call: Call[Any]) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return none."""
        return 0


@keras("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract")
class Elementwise(Merge):
    """Adds, multiplies, averages … tensors number by number.

    An axis of size 1 is stretched; a tensor with fewer axes is given some behind the batch's.
    """

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shape that all are stretched to."""
        shapes = [each.shape for each in call.leaves]
        fewest, most = (2, 2) if self.kind == "Subtract" else (1, len(shapes))
        if not fewest <= len(shapes) <= most:
            detail = f"The layer takes 2 tensors; {len(shapes)} reach it."
            raise Invalid(detail, pointer=f"{at}/inbound_nodes")
        rank = max(map(len, shapes))
        wide = [(1,) * (rank - len(shape)) + shape for shape in shapes]
        return (tuple(self._size(sizes, shapes, at) for sizes in zip(*wide, strict=True)),)

    def _size(self, sizes: Sequence[int | None], shapes: Sequence[Shape], at: str) -> int | None:
        fixed = {size for size in sizes if size not in {None, 1}}
        if len(fixed) > 1:
            detail = f"The tensors must have one shape, or 1 where they differ; they have {_and(shapes)}."
            raise Invalid(detail, pointer=f"{at}/inbound_nodes")
        return next(iter(fixed), None if None in sizes else 1)


@keras("Concatenate")
class Concatenate(Merge):
    """Lays tensors behind each other along an axis."""

    axis: int = -1

    def along(self, call: Call[Any], at: str = "") -> int:
        """Return the axis, the batch's being 0."""
        return inner_axis(self.axis, call.one.shape, f"{at}/config/axis")

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shape with the sizes along the axis added up; the others must agree."""
        shapes, axis = [each.shape for each in call.leaves], self.along(call, at) - 1
        if len({len(shape) for shape in shapes}) > 1:
            raise self._apart(shapes, at)
        sizes = [self._size(place, axis, each, shapes, at) for place, each in enumerate(zip(*shapes, strict=True))]
        return (tuple(sizes),)

    def _size(self, place: int, axis: int, sizes: Sequence[int | None], shapes: Sequence[Shape], at: str) -> int | None:
        given = [size for size in sizes if size is not None]
        if place == axis:
            return sum(given) if len(given) == len(sizes) else None
        if len(set(given)) > 1:
            raise self._apart(shapes, at)
        return next(iter(given), None)

    def _apart(self, shapes: Sequence[Shape], at: str) -> Invalid:
        detail = f"The tensors must agree in all axes but {self.axis}; they have {_and(shapes)}."
        return Invalid(detail, pointer=f"{at}/inbound_nodes")


@keras("Dot")
class Dot(Merge):
    """The inner product of two tensors along an axis of each, sample by sample; the cosine with `normalize`."""

    axes: int | list[int]
    normalize: bool = False

    def along(self, call: Call[Any], at: str = "") -> tuple[int, int]:
        """Return the axis of each, the batch's being 0; Invalid where their sizes differ."""
        if len(call.leaves) != 2:  # noqa: PLR2004  the two that are multiplied
            detail = f"The layer takes 2 tensors; {len(call.leaves)} reach it."
            raise Invalid(detail, pointer=f"{at}/inbound_nodes")
        given = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        shapes, where = [each.shape for each in call.leaves], f"{at}/config/axes"
        if len(given) != 2:  # noqa: PLR2004  one for each tensor
            detail = f"There is one axis for both tensors, or one for each; there are {given}."
            raise Invalid(detail, pointer=where)
        first, second = (inner_axis(axis, shape, where) for axis, shape in zip(given, shapes, strict=True))
        sizes = {shapes[0][first - 1], shapes[1][second - 1]} - {None}
        if len(sizes) > 1:
            detail = f"The sizes along the axes must agree; the tensors have {_and(shapes)}."
            raise Invalid(detail, pointer=where)
        return first, second

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the other axes of both, or one number."""
        axes, shapes = self.along(call, at), [each.shape for each in call.leaves]
        rest = [size for axis, shape in zip(axes, shapes, strict=True) for size in (*shape[: axis - 1], *shape[axis:])]
        return (tuple(rest) or (1,),)


def _and(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(shown, shapes))
