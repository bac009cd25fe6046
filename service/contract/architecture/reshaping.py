"""Layers that move numbers about, pick some, or move all by two numbers."""

from math import prod
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.axes import Axis, placed
from service.contract.architecture.base import VECTOR, LayerBase, Shape, Size, channels, fits
from service.contract.architecture.noise import Noises
from service.contract.problem import Invalid

Real = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]
Reals = Annotated[tuple[Real, ...], Field(min_length=1, max_length=65_536)]
Place = Annotated[int, Field(ge=-(2**26), le=2**26)]


class Flatten(LayerBase):
    """Lays the numbers of a sample, or of some of its axes, in a row."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "flatten", "first": 1}], "x-reads": [[7, 4, 2]]},
    )

    kind: Literal["flatten"]
    first: Axis = 0
    """The first axis that is laid flat, 0 being the one behind the batch's; 1 keeps the steps of a sequence apart."""
    last: Axis = -1

    def span(self, shape: Shape, at: str = "") -> tuple[int, int]:
        """Return the first axis that is laid flat and the one behind the last; Invalid where there are no such."""
        first, last = placed(self.first, shape, f"{at}/first"), placed(self.last, shape, f"{at}/last")
        if first > last:
            detail = f"The first axis, {self.first}, stands behind the last, {self.last}, in the shape {list(shape)}."
            raise Invalid(detail, pointer=f"{at}/first")
        return first, last + 1

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape with one axis in place of those."""
        first, end = self.span(shape, at)
        return (*shape[:first], prod(shape[first:end]), *shape[end:])


class Reshape(LayerBase):
    """Gives a sample another shape with as many numbers, read row by row."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "reshape", "shape": [2, -1]}], "x-reads": [[8]]})

    kind: Literal["reshape"]
    shape: Annotated[tuple[Size | Literal[-1], ...], Field(min_length=1, max_length=4)]
    """Without the batch axis; one size may be -1, which is then what is left."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the new shape."""
        known, total = prod(size for size in self.shape if size > 0), prod(shape)
        unknown = self.shape.count(-1)
        if unknown > 1:
            detail = f"The shape {list(self.shape)} leaves {unknown} sizes open; one can be found."
            raise Invalid(detail, pointer=f"{at}/shape")
        if total % known if unknown else total != known:
            detail = f"The shape {list(self.shape)} holds {known} numbers; {total} reach the layer."
            raise Invalid(detail, pointer=f"{at}/shape")
        return tuple(size if size > 0 else total // known for size in self.shape)


class Permute(LayerBase):
    """Puts the axes of a sample in another order; axis 0 is the first after the batch's."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "permute", "axes": [1, 0]}]})

    kind: Literal["permute"]
    axes: Annotated[tuple[int, ...], Field(min_length=1, max_length=4)]

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the sizes in the new order."""
        if sorted(self.axes) != list(range(len(shape))):
            detail = f"The axes {list(self.axes)} are not an order of the {len(shape)} axes of {list(shape)}."
            raise Invalid(detail, pointer=f"{at}/axes")
        return tuple(shape[axis] for axis in self.axes)


class RepeatVector(LayerBase):
    """Gives (features) `times` times over, as a sequence."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "repeat_vector", "times": 3}], "x-reads": [[8]]})

    kind: Literal["repeat_vector"]
    times: Size

    def output(self, shape: Shape, at: str) -> Shape:
        """Return (times, features)."""
        fits(shape, at, VECTOR)
        return (self.times, *shape)


class Slice(LayerBase):
    """Keeps a range of an axis, as Python's [start:stop:step]."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "slice", "axis": 0, "start": 1, "stop": -1}]})

    kind: Literal["slice"]
    axis: Axis
    start: Place = 0
    stop: Place | None = None
    step: Annotated[int, Field(ge=1, le=2**26)] = 1

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape with the axis cut; Invalid where nothing is left of it."""
        axis = placed(self.axis, shape, f"{at}/axis")
        kept = len(range(shape[axis])[self.start : self.stop : self.step])
        if not kept:
            detail = f"Nothing is left of an axis of size {shape[axis]}."
            raise Invalid(detail, pointer=f"{at}/start")
        return (*shape[:axis], kept, *shape[axis + 1 :])


class Select(LayerBase):
    """Takes one place of an axis, which is gone then: the last step of a sequence, a transformer's first token."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "select", "axis": 0, "index": -1}]})

    kind: Literal["select"]
    axis: Axis
    index: Place

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape without the axis."""
        axis = placed(self.axis, shape, f"{at}/axis")
        if len(shape) == VECTOR:
            detail = (
                f"What reaches the layer has the shape {list(shape)}; nothing would be left. `slice` keeps the axis."
            )
            raise Invalid(detail, pointer=at)
        if not -shape[axis] <= self.index < shape[axis]:
            detail = f"The axis has {shape[axis]} places; there is no {self.index}."
            raise Invalid(detail, pointer=f"{at}/index")
        return (*shape[:axis], *shape[axis + 1 :])


class Squeeze(LayerBase):
    """Takes away an axis of size 1."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "squeeze", "axis": 0}], "x-reads": [[1, 8]]})

    kind: Literal["squeeze"]
    axis: Axis

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape without the axis."""
        axis = placed(self.axis, shape, f"{at}/axis")
        if shape[axis] != 1 or len(shape) == VECTOR:
            detail = (
                f"Axis {self.axis} of {list(shape)} has a size of {shape[axis]}; one of size 1 beside others can go."
            )
            raise Invalid(detail, pointer=f"{at}/axis")
        return (*shape[:axis], *shape[axis + 1 :])


class Unsqueeze(LayerBase):
    """Puts in an axis of size 1."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "unsqueeze", "axis": -1}]})

    kind: Literal["unsqueeze"]
    axis: Axis
    """Its number in the new shape."""

    def place(self, shape: Shape, at: str = "") -> int:
        """Return the new axis, counted from the front."""
        return placed(self.axis, (*shape, 1), f"{at}/axis")

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape with the axis; Invalid where there are four already."""
        axis = self.place(shape, at)
        if len(shape) == 4:  # noqa: PLR2004  a volume's axes
            detail = f"What reaches the layer has the shape {list(shape)}; a sample has at most 4 axes."
            raise Invalid(detail, pointer=at)
        return (*shape[:axis], 1, *shape[axis:])


class Identity(LayerBase):
    """Passes on what reaches it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "identity"}]})

    kind: Literal["identity"]


class Rescale(LayerBase):
    """x · scale + offset, a number each, or one per channel or feature: standardizes an input of known mean and scale.

    Lists hold a number per channel of images and volumes, and per feature of vectors and sequences.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "rescale", "scale": 0.5, "offset": -1},
                {"kind": "rescale", "scale": [1, 0.5, 2], "offset": [0, -1, 3]},
            ],
            "x-reads": [[3, 8, 8]],
        }
    )

    kind: Literal["rescale"]
    scale: Real | Reals = 1.0
    offset: Real | Reals = 0.0

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, whose channels or features lists must be as long as."""
        for field in ("scale", "offset"):
            given = getattr(self, field)
            if isinstance(given, tuple) and len(given) != channels(shape):
                detail = f"The list holds {len(given)} numbers; the channels or features are {channels(shape)}."
                raise Invalid(detail, pointer=f"{at}/{field}")
        return shape


Reshapings: TypeAlias = (
    Flatten | Reshape | Permute | RepeatVector | Slice | Select | Squeeze | Unsqueeze | Identity | Rescale | Noises
)
