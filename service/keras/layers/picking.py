"""Functions of keras.ops that pick numbers, or give them several times: parts, places, repetitions."""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.axes import inner_axes, inner_axis
from service.keras.base import Call, Shape, known, shown
from service.keras.layers import keras
from service.keras.operations import Operation, constant

MOST_PARTS: Final = 1024
"""Most parts that a tensor is cut into."""


@keras("ops.Split")
class Split(Operation):
    """A tensor cut along an axis: into so many equal parts, or at these places."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    indices_or_sections: (
        Annotated[int, Field(ge=1, le=MOST_PARTS)] | Annotated[tuple[int, ...], Field(max_length=MOST_PARTS)]
    )
    axis: int = 0

    def sizes(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return the parts' sizes; Invalid where the axis cannot be cut so."""
        whole = known(shape[inner_axis(self.axis, shape, f"{at}/config/axis") - 1], at, "size that is cut")
        given = self.indices_or_sections
        if isinstance(given, int):
            parts = [whole // given] * given if not whole % given else []
        else:
            ends = [0, *given, whole]
            parts = [end - start for start, end in pairwise(ends)]
        if not parts or min(parts) < 1:
            detail = f"A size of {whole} cannot be cut by {given}."
            raise Invalid(detail, pointer=f"{at}/config/indices_or_sections")
        return tuple(parts)

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the parts' shapes."""
        shape = call.one.shape
        sizes, place = self.sizes(shape, at), inner_axis(self.axis, shape, f"{at}/config/axis") - 1
        return tuple((*shape[:place], size, *shape[place + 1 :]) for size in sizes)


@keras("ops.Unstack")
class Unstack(Operation):
    """A tensor's parts along an axis, which is gone then."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    num: int | None = None
    axis: int = 0

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the parts' shapes."""
        shape = call.one.shape
        place = inner_axis(self.axis, shape, f"{at}/config/axis") - 1
        size = known(shape[place], at, "size that is taken apart")
        if size > MOST_PARTS or self.num not in {None, size}:
            detail = f"A size of {size} is taken apart; the limit is {MOST_PARTS} parts, and the file says {self.num}."
            raise Invalid(detail, pointer=f"{at}/config/num")
        return ((*shape[:place], *shape[place + 1 :]),) * size


class Along(Operation):
    """A function along one axis."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axis: int | None = None

    def along(self, shape: Shape, at: str) -> int:
        """Return the axis, the batch's being 0; Invalid where none is named."""
        if self.axis is None:
            detail = "Without an axis, all samples are laid in a row; name one behind the batch's."
            raise Invalid(detail, pointer=f"{at}/config/axis")
        return inner_axis(self.axis, shape, f"{at}/config/axis")


@keras("ops.Take")
class Take(Along):
    """The numbers at some places of an axis."""

    parameters: ClassVar[tuple[str, ...]] = ("x", "indices")

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shape with the places' shape instead of the axis."""
        shape, places = call.one.shape, constant(call.get("indices"), f"{at}/inbound_nodes")
        axis = self.along(shape, at) - 1
        return ((*shape[:axis], *places, *shape[axis + 1 :]),)

    def indices(self, call: Call[Any], at: str) -> Any:  # noqa: ANN401  nested lists of whole numbers
        """Return the places, counted from the front; Invalid where there is none such."""
        size = known(call.one.shape[self.along(call.one.shape, at) - 1], at, "size that is taken from")
        return _counted(call.get("indices"), size, f"{at}/inbound_nodes")


def _counted(places: Any, size: int, at: str) -> Any:  # noqa: ANN401  nested lists of whole numbers
    if isinstance(places, list):
        return [_counted(each, size, at) for each in places]
    if type(places) is not int or not -size <= places < size:
        detail = f"There is no place {places!r:.80} along an axis of size {size}."
        raise Invalid(detail, pointer=at)
    return places % size


@keras("ops.Repeat")
class Repeat(Along):
    """Each number of an axis several times over."""

    repeats: Annotated[int, Field(ge=1, le=65_536)]

    def output(self, shape: Shape, at: str) -> Shape:
        """Multiply the axis's size."""
        axis = self.along(shape, at) - 1
        size = known(shape[axis], at, "size that is repeated")
        return (*shape[:axis], size * self.repeats, *shape[axis + 1 :])


@keras("ops.Tile")
class Tile(Operation):
    """A tensor several times over along its axes."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    repeats: int | tuple[Annotated[int, Field(ge=1, le=65_536)], ...]

    def times(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return how often, per axis, the batch's among them; UnsupportedModel where samples are repeated."""
        given = (self.repeats,) if isinstance(self.repeats, int) else self.repeats
        times = (1,) * (len(shape) + 1 - len(given)) + given
        if len(times) != len(shape) + 1 or times[0] != 1 or min(times) < 1:
            detail = f"{list(given)} does not repeat the axes of {shown(shape)} alone; the batch's is given once."
            raise UnsupportedModel(detail, pointer=f"{at}/config/repeats")
        return times

    def output(self, shape: Shape, at: str) -> Shape:
        """Multiply the sizes."""
        times = self.times(shape, at)[1:]
        return tuple(None if size is None else size * each for size, each in zip(shape, times, strict=True))


@keras("ops.Flip")
class Flip(Operation):
    """The axes backwards."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axis: int | tuple[int, ...] | None = None

    def axes(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return the axes; Invalid where the batch's is among them."""
        every = range(len(shape) + 1) if self.axis is None else self.axis
        return inner_axes(every, shape, f"{at}/config/axis")

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape."""
        self.axes(shape, at)
        return shape


@keras("ops.GetItem")
class GetItem(Operation):
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
