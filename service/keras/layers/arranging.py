"""Functions of keras.ops that arrange numbers: reshape, transpose, joins, padding."""

from math import prod
from typing import Any, ClassVar, Literal

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.axes import inner_axes, inner_axis
from service.keras.base import Call, KerasLayer, Shape, shown
from service.keras.layers import keras


@keras("ops.Reshape")
class Reshape(KerasLayer):
    """Another shape of as many numbers; the batch's axis stays."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    newshape: tuple[int | None, ...]

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the new shape; one size may be left to the others."""
        wanted, numbers = self.newshape[1:], prod(size or 0 for size in shape)
        free = [index for index, size in enumerate(wanted) if size in {-1, None}]
        named = prod(size for size in wanted if size not in {-1, None} and size is not None)
        if None in shape and free:
            return tuple(None if index in free else size for index, size in enumerate(wanted))
        if self.newshape[:1] not in {(-1,), (None,)} or len(free) > 1 or not named or numbers % named:
            detail = f"{shown(shape)} cannot become {list(self.newshape)}; the first size is the batch's, -1."
            raise Invalid(detail, pointer=f"{at}/config/newshape")
        if not free and numbers != named:
            detail = f"{list(self.newshape)} holds {named} numbers per sample; {shown(shape)} holds {numbers}."
            raise Invalid(detail, pointer=f"{at}/config/newshape")
        return tuple(numbers // named if index in free else size for index, size in enumerate(wanted))


@keras("ops.Transpose", "ops.Swapaxes", "ops.Moveaxis")
class Transpose(KerasLayer):
    """The axes in another order; the batch's stays the first."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axes: tuple[int, ...] | None = None
    axis1: int = 0
    axis2: int = 0
    source: int | tuple[int, ...] = ()
    destination: int | tuple[int, ...] = ()

    def order(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return which axis comes to which place, the batch's being 0."""
        order = list(range(len(shape) + 1))
        if self.kind == "ops.Swapaxes":
            one = inner_axis(self.axis1, shape, f"{at}/config/axis1")
            other = inner_axis(self.axis2, shape, f"{at}/config/axis2")
            order[one], order[other] = order[other], order[one]
            return tuple(order)
        if self.kind == "ops.Moveaxis":
            return self._moved(shape, at)
        axes = tuple(axis % (len(shape) + 1) for axis in self.axes or order[::-1])
        if sorted(axes) != order or axes[0]:
            detail = f"{list(axes)} is no order of the axes of {shown(shape)} that leaves the batch's first."
            raise UnsupportedModel(detail, pointer=f"{at}/config/axes")
        return axes

    def _moved(self, shape: Shape, at: str) -> tuple[int, ...]:
        source = inner_axes(self.source, shape, f"{at}/config/source", ordered=False)
        destination = inner_axes(self.destination, shape, f"{at}/config/destination", ordered=False)
        if len(source) != len(destination):
            detail = f"{len(source)} axes are moved to {len(destination)} places."
            raise Invalid(detail, pointer=f"{at}/config/destination")
        order = [axis for axis in range(len(shape) + 1) if axis not in source]
        for place, axis in sorted(zip(destination, source, strict=True)):
            order.insert(place, axis)
        return tuple(order)

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the sizes in the new order."""
        return tuple(shape[axis - 1] for axis in self.order(shape, at)[1:])


@keras("ops.ExpandDims")
class ExpandDims(KerasLayer):
    """A new axis of one number."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axis: int

    def place(self, shape: Shape, at: str) -> int:
        """Return where the axis comes to stand, the batch's being 0."""
        return inner_axis(self.axis, (*shape, 1), f"{at}/config/axis")

    def output(self, shape: Shape, at: str) -> Shape:
        """Insert the axis."""
        place = self.place(shape, at) - 1
        return (*shape[:place], 1, *shape[place:])


@keras("ops.Squeeze")
class Squeeze(KerasLayer):
    """An axis of one number less."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axis: int

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the axis out."""
        place = inner_axis(self.axis, shape, f"{at}/config/axis") - 1
        if shape[place] != 1:
            detail = f"The axis {self.axis} of {shown(shape)} has not the size 1."
            raise Invalid(detail, pointer=f"{at}/config/axis")
        return (*shape[:place], *shape[place + 1 :])


@keras("ops.Concatenate", "ops.Stack")
class Join(KerasLayer):
    """Tensors behind each other along an axis, or along a new one."""

    parameters: ClassVar[tuple[str, ...]] = ("xs",)

    axis: int = 0

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the joined shape."""
        shapes = [each.shape for each in call.leaves]
        if self.kind == "ops.Stack":
            place = inner_axis(self.axis, (*shapes[0], 1), f"{at}/config/axis") - 1
            self._alike(shapes, None, at)
            return ((*shapes[0][:place], len(shapes), *shapes[0][place:]),)
        place = inner_axis(self.axis, shapes[0], f"{at}/config/axis") - 1
        self._alike(shapes, place, at)
        sizes = [shape[place] for shape in shapes]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        return ((*shapes[0][:place], total, *shapes[0][place + 1 :]),)

    def _alike(self, shapes: list[Shape], but: int | None, at: str) -> None:
        rest = {tuple(size for axis, size in enumerate(shape) if axis != but) for shape in shapes}
        if len(rest) > 1:
            detail = f"{' and '.join(map(shown, shapes))} cannot be joined along the axis {self.axis}."
            raise Invalid(detail, pointer=at)


@keras("ops.Pad")
class Pad(KerasLayer):
    """Zeros, or copies, around."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    pad_width: tuple[tuple[int, int], ...]
    mode: Literal["constant", "reflect"] = "constant"

    def output(self, shape: Shape, at: str) -> Shape:
        """Add what comes before and behind."""
        if len(self.pad_width) != len(shape) + 1 or any(self.pad_width[0]):
            detail = f"{list(self.pad_width)} does not pad the axes of {shown(shape)} alone; the batch's gets [0, 0]."
            raise UnsupportedModel(detail, pointer=f"{at}/config/pad_width")
        return tuple(
            None if size is None else size + sum(pads) for size, pads in zip(shape, self.pad_width[1:], strict=True)
        )
