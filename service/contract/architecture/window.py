"""Windows that slide over the inner axes: the time of a sequence, or the sizes of an image or a volume."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from service.contract.architecture.base import IMAGE, SEQUENCE, VOLUME, LayerBase, Shape, bounded, fits
from service.contract.problem import Invalid

Step = Annotated[int, Field(ge=1, le=1024)]
Amount = Annotated[int, Field(ge=0, le=1024)]
Pair: TypeAlias = Step | tuple[Step, Step]
Triple: TypeAlias = Step | tuple[Step, Step, Step]
Steps: TypeAlias = int | tuple[int, ...]
"""One number for all axes, or one per axis."""

Edge: TypeAlias = Literal["same", "valid"]
Padding: TypeAlias = Edge | Amount
Padding2d: TypeAlias = Edge | Amount | tuple[Amount, Amount]
Padding3d: TypeAlias = Edge | Amount | tuple[Amount, Amount, Amount]
AnyPadding: TypeAlias = Literal["same", "valid", "causal"] | Steps
Pads: TypeAlias = tuple[tuple[int, int], ...]
"""Numbers added before and after, per axis."""

FORMS = {1: SEQUENCE, 2: IMAGE, 3: VOLUME}
"""How many axes a sample has, by how many of them a window slides along."""


class Window(LayerBase):
    """A layer that slides a window; images and volumes have their channels first, sequences their features last."""

    axes: ClassVar[int]
    """How many axes the window has."""

    kernel: Steps
    stride: Steps | None = 1
    padding: AnyPadding = "valid"

    @property
    def kernels(self) -> tuple[int, ...]:
        """The window's size, per axis."""
        return spread(self.kernel, self.axes)

    @property
    def strides(self) -> tuple[int, ...]:
        """The window's step, per axis; its size where none is given."""
        return spread(self.stride or self.kernel, self.axes)

    @property
    def dilations(self) -> tuple[int, ...]:
        """The distance between numbers in one window, per axis."""
        return (1,) * self.axes

    @property
    def reaches(self) -> tuple[int, ...]:
        """How far a window reaches, per axis."""
        return tuple(dilation * (kernel - 1) + 1 for kernel, dilation in zip(self.kernels, self.dilations, strict=True))

    def pads(self, shape: Shape) -> Pads:
        """Return the padding in numbers; "same" gives ceil(size / stride) windows, the odd one behind."""
        match self.padding:
            case "valid":
                return ((0, 0),) * self.axes
            case "same":
                sizes = zip(inner(shape), self.reaches, self.strides, strict=True)
                return tuple(halved((-(-size // stride) - 1) * stride + reach - size) for size, reach, stride in sizes)
            case "causal":
                return tuple((reach - 1, 0) for reach in self.reaches)
            case amounts:
                return tuple((amount, amount) for amount in spread(amounts, self.axes))

    def slid(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return how many windows fit along each axis; Invalid where none does, TooComplex with too much padding."""
        fits(shape, at, FORMS[self.axes])
        pads = self.pads(shape)
        padded = tuple(size + sum(two) for size, two in zip(inner(shape), pads, strict=True))
        bounded(with_inner(shape, padded), at)
        sizes = zip(padded, pads, self.reaches, self.strides, strict=True)
        return tuple(self.windows(size - after, after, reach, stride, at) for size, (_, after), reach, stride in sizes)

    def windows(self, size: int, after: int, reach: int, stride: int, at: str) -> int:
        """Return how many windows fit into `size` and the padding behind it; Invalid where none does."""
        if reach > size + after:
            detail = f"A window of {reach} does not fit into a size of {size + after}, padding included."
            raise Invalid(detail, pointer=f"{at}/kernel")
        return (size + after - reach) // stride + 1


def halved(total: int) -> tuple[int, int]:
    """Return a number (0 for a negative one) in two halves, the larger one behind."""
    total = max(total, 0)
    return total // 2, total - total // 2


def spread(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Return one number per axis."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def inner(shape: Shape) -> tuple[int, ...]:
    """Return the sizes along which windows slide: all but the channels, or the features behind a sequence's time."""
    return shape[:1] if len(shape) <= SEQUENCE else shape[1:]


def with_inner(shape: Shape, sizes: tuple[int, ...]) -> Shape:
    """Return `shape` with other sizes where windows slide."""
    return (*sizes, *shape[1:]) if len(shape) <= SEQUENCE else (shape[0], *sizes)


def with_channels(shape: Shape, count: int) -> Shape:
    """Return `shape` with another number of channels or features."""
    return (*shape[:-1], count) if len(shape) <= SEQUENCE else (count, *shape[1:])
