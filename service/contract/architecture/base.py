"""What every layer shares, and the signals that layers pass on."""

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import Field

from service.contract.base import Contract
from service.contract.problem import Invalid, TooComplex

if TYPE_CHECKING:
    from service.contract.architecture.container import Layer

MOST_NUMBERS = 2**26
"""Most numbers that one sample may take between two layers."""

Shape: TypeAlias = tuple[int, ...]
"""Sizes of one sample, without the batch axis: (features), (time, features), or (channels, …) of an image or volume."""

Size = Annotated[int, Field(ge=1, le=65_536)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=100)]
DType: TypeAlias = Literal["float32", "int64"]

VECTOR, SEQUENCE, IMAGE, VOLUME = 1, 2, 3, 4
_FORMS = {
    VECTOR: "(features)",
    SEQUENCE: "(time, features)",
    IMAGE: "(channels, height, width)",
    VOLUME: "(channels, depth, height, width)",
}


class Signal(NamedTuple):
    """One sample of what a layer passes on: numbers, or the int64 tokens that an embedding looks up."""

    shape: Shape
    dtype: DType = "float32"


class LayerBase(Contract):
    """A layer: it says what it makes of what reaches it, and how many weights it takes for that."""

    reads: ClassVar[DType] = "float32"

    name: Name | None = None
    """What reports call the layer; unique among its siblings."""
    inputs: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)] | None = None
    """What a node reads: inputs and nodes before it, by name; the node before it by default.  Not for chains."""

    def output(self, shape: Shape, at: str) -> Shape:  # noqa: ARG002  for layers that look at it
        """Return the shape after this layer; Invalid, pointing at `at` or below it, where `shape` does not fit."""
        return shape

    def weights(self, shape: Shape) -> int:  # noqa: ARG002  for layers that look at it
        """Return how many trained numbers the layer holds on an input that `output` accepts."""
        return 0

    def after(self, given: tuple[Signal, ...], at: str) -> Signal:
        """Return what the layer makes of the signals that reach it; Invalid or TooComplex where it cannot."""
        if len(given) != 1:
            detail = f"The layer reads one value; {len(given)} are named."
            raise Invalid(detail, pointer=f"{at}/inputs")
        typed(given, self.reads, at)
        return Signal(bounded(self.output(given[0].shape, at), at))

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return how many trained numbers the layer holds on signals that `after` accepts."""
        return self.weights(given[0].shape)

    def lists(self) -> Iterator[tuple[str, tuple["Layer", ...]]]:
        """Yield the lists of layers inside this one, each with its place such as `/layers`."""
        yield from ()

    def repetitions(self) -> int:
        """Return how often the layers inside are put down."""
        return 1


class Joint(LayerBase):
    """A layer that reads several values; only a node can."""

    fewest: ClassVar[int] = 2
    most: ClassVar[int] = 64

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the shape of what the layer makes of values of these shapes; Invalid where they do not fit."""
        raise NotImplementedError

    def after(self, given: tuple[Signal, ...], at: str) -> Signal:
        """Return what the layer makes of the signals that reach it."""
        if not self.fewest <= len(given) <= self.most:
            wanted = f"{self.fewest}" if self.fewest == self.most else f"{self.fewest} to {self.most}"
            detail = f"The layer reads {wanted} values, which a node names as `inputs`; {len(given)} reach it."
            raise Invalid(detail, pointer=f"{at}/inputs")
        typed(given, self.reads, at)
        return Signal(bounded(self.joined(tuple(each.shape for each in given), at), at))


def typed(given: tuple[Signal, ...], dtype: DType, at: str) -> None:
    """Pass signals of this type; Invalid otherwise."""
    if all(each.dtype == dtype for each in given):
        return
    if dtype == "int64":
        detail = "An embedding looks up int64 tokens; what reaches it is float32."
    else:
        detail = "What reaches the layer are int64 tokens; an embedding must look them up first."
    raise Invalid(detail, pointer=at)


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
    """Return the number of channels of an image or volume, or of features of a vector or sequence."""
    return shape[0] if len(shape) >= IMAGE else shape[-1]
