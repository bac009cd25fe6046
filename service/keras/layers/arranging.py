"""Functions of keras.ops that arrange numbers: reshape, transpose, slices, joins, padding."""

from math import prod
from typing import Any, ClassVar, Literal

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.base import Call, KerasLayer, Shape, shown
from service.keras.layers import keras
from service.keras.layers.arithmetic import inside


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


@keras("ops.Transpose", "ops.Swapaxes")
class Transpose(KerasLayer):
    """The axes in another order; the batch's stays the first."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axes: tuple[int, ...] | None = None
    axis1: int = 0
    axis2: int = 0

    def order(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return which axis comes to which place, the batch's being 0."""
        order = list(range(len(shape) + 1))
        if self.kind == "ops.Swapaxes":
            one, other = inside(self.axis1, shape, at), inside(self.axis2, shape, at)
            order[one], order[other] = order[other], order[one]
            return tuple(order)
        axes = tuple(axis % (len(shape) + 1) for axis in self.axes or order[::-1])
        if sorted(axes) != order or axes[0]:
            detail = f"{list(axes)} is no order of the axes of {shown(shape)} that leaves the batch's first."
            raise UnsupportedModel(detail, pointer=f"{at}/config/axes")
        return axes

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
        return inside(self.axis, (*shape, 1), at)

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
        place = inside(self.axis, shape, at) - 1
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
            place = inside(self.axis, (*shapes[0], 1), at) - 1
            self._alike(shapes, None, at)
            return ((*shapes[0][:place], len(shapes), *shapes[0][place:]),)
        place = inside(self.axis, shapes[0], at) - 1
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


@keras("ops.GetItem")
class GetItem(KerasLayer):
    """A part of a tensor: `x[:, 0]`, `x[:, 2:5]`, `x[..., -1]`."""

    parameters: ClassVar[tuple[str, ...]] = ("x", "key")

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the sizes of the part."""
        found: list[int | None] = []
        shape = call.one.shape
        parts = dict(self.parts(call, at))
        for axis, size in enumerate(shape, 1):
            part = parts.get(axis)
            if part is None:
                found.append(size)
            elif isinstance(part, slice):
                found.append(None if size is None else len(range(size)[part]))
            elif size is not None and not -size <= part < size:
                detail = f"There is no {part} along the axis {axis} of {shown(shape)}."
                raise Invalid(detail, pointer=at)
        return (tuple(found),)

    def parts(self, call: Call[Any], at: str) -> list[tuple[int, int | slice]]:
        """Return what is taken of which axis, the batch's being 0."""
        key = call.get("key")
        listed = key if isinstance(key, list) else [key]
        dots = next((index for index, each in enumerate(listed) if _named(each) == "__ellipsis__"), len(listed))
        behind = len(listed) - dots - 1
        rank = len(call.one.shape) + 1
        found: list[tuple[int, int | slice]] = []
        for index, each in enumerate(listed):
            axis = index if index < dots else rank - behind + (index - dots - 1)
            if index == dots:
                continue
            part = _part(each, at)
            if part == slice(None):
                continue
            if not 1 <= axis < rank:
                detail = "A part of the batch is taken; the examination needs its samples whole."
                raise UnsupportedModel(detail, pointer=at)
            found.append((axis, part))
        return found


def _named(value: Any) -> str | None:  # noqa: ANN401  what the file holds
    return value.get("class_name") if isinstance(value, dict) else None


def _part(value: Any, at: str) -> int | slice:  # noqa: ANN401  what the file holds
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    config = value.get("config") if _named(value) == "__slice__" else None
    steps = [config.get(name) for name in ("start", "stop", "step")] if isinstance(config, dict) else None
    if steps is None or any(each is not None and type(each) is not int for each in steps) or (steps[2] or 1) < 1:
        detail = f"A part is a whole number or a slice that walks forwards; it is {value!r:.80}."
        raise UnsupportedModel(detail, pointer=at)
    return slice(*steps)
