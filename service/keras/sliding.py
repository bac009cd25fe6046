"""Inner axes in Keras's layouts, and the windows that slide along them.

A sample is (sizes…, channels), or (channels, sizes…) where `data_format` is channels_first.
"""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from service.contract.problem import Invalid
from service.keras.base import KerasLayer, Shape, bounded, known, ranked

MOST = 65_536
"""Largest size of an axis, a window or a step."""
Size = Annotated[int, Field(ge=1, le=MOST)]
Sizes: TypeAlias = int | tuple[int, ...]
"""One number for all axes, or one per axis; a `Spatial` layer checks them."""


class Spatial(KerasLayer):
    """A layer of samples with inner axes and channels."""

    axes: ClassVar[int]
    """How many inner axes there are."""

    data_format: Literal["channels_last", "channels_first"] | None = None

    @field_validator(
        "kernel_size", "pool_size", "strides", "dilation_rate", "output_padding", "size", "output_size",
        mode="plain", check_fields=False,
    )  # fmt: skip
    @classmethod
    def _per_axis(cls, given: Any, info: ValidationInfo) -> Sizes | None:  # noqa: ANN401  what the file holds
        name = str(info.field_name)
        if given is None and cls.model_fields[name].default is None:
            return None
        least = 0 if name == "output_padding" else 1
        numbers = tuple(given) if isinstance(given, list) else (given,) * cls.axes
        if len(numbers) != cls.axes or not all(type(each) is int and least <= each <= MOST for each in numbers):
            msg = f"a whole number from {least} to {MOST}, or one for each of {cls.axes} axes, is expected"
            raise ValueError(msg)
        return numbers

    def each(self, given: Sizes) -> tuple[int, ...]:
        """Return one number per axis."""
        return (given,) * self.axes if isinstance(given, int) else given

    @property
    def first(self) -> bool:
        """Whether the channels stand before the inner axes."""
        return self.data_format == "channels_first"

    def inside(self, shape: Shape) -> Shape:
        """Return the sizes of the inner axes."""
        return shape[1:] if self.first else shape[:-1]

    def channels(self, shape: Shape, at: str = "") -> int:
        """Return how many channels there are; Invalid where the file leaves that open."""
        return known(shape[0] if self.first else shape[-1], at, "number of channels")

    def laid(self, sizes: Shape, channels: int | None) -> Shape:
        """Return the shape of these sizes and channels."""
        return (channels, *sizes) if self.first else (*sizes, channels)

    def with_sizes(self, shape: Shape, sizes: Shape) -> Shape:
        """Return `shape` with other sizes of the inner axes."""
        return self.laid(sizes, shape[0] if self.first else shape[-1])


class Window(Spatial):
    """A layer that slides a window."""

    causal: ClassVar[bool] = False
    """Whether windows may be kept from seeing what comes later."""

    padding: str = "valid"

    @field_validator("padding")
    @classmethod
    def _edge(cls, given: str) -> str:
        words = ("valid", "same", "causal") if cls.causal else ("valid", "same")
        if given.lower() not in words:
            msg = f"{' or '.join(map(repr, words))} is expected"
            raise ValueError(msg)
        return given.lower()

    @property
    def window(self) -> tuple[int, ...]:
        """The window's size, per axis."""
        raise NotImplementedError

    @property
    def steps(self) -> tuple[int, ...]:
        """The window's step, per axis."""
        raise NotImplementedError

    @property
    def gaps(self) -> tuple[int, ...]:
        """The distance between numbers in one window, per axis."""
        return (1,) * self.axes

    @property
    def reaches(self) -> tuple[int, ...]:
        """How far a window reaches, per axis."""
        return tuple(gap * (size - 1) + 1 for size, gap in zip(self.window, self.gaps, strict=True))

    def slid(self, shape: Shape, at: str) -> Shape:
        """Return how many windows fit along each axis; Invalid where none does, TooComplex with too much padding."""
        ranked(shape, at, self.axes + 2)
        pads = self.pads(shape) or ((0, 0),) * self.axes
        padded = tuple(size and size + sum(two) for size, two in zip(self.inside(shape), pads, strict=True))
        bounded(self.with_sizes(shape, padded), at)
        sizes = zip(self.inside(shape), self.reaches, self.steps, strict=True)
        return tuple(self._windows(size, reach, step, at) for size, reach, step in sizes)

    def _windows(self, size: int | None, reach: int, step: int, at: str) -> int | None:
        if size is None:
            return None
        if self.padding != "valid":
            return -(-size // step)
        if reach > size:
            detail = f"A window of {reach} does not fit into a size of {size}."
            raise Invalid(detail, pointer=f"{at}/config")
        return (size - reach) // step + 1

    def pads(self, shape: Shape) -> tuple[tuple[int, int], ...] | None:
        """Return the padding before and after each axis, the odd one after; None where only a batch can tell."""
        if self.padding == "valid":
            return ((0, 0),) * self.axes
        if self.padding == "causal":
            return tuple((reach - 1, 0) for reach in self.reaches)
        totals = []
        for size, reach, step in zip(self.inside(shape), self.reaches, self.steps, strict=True):
            if size is None and step > 1:
                return None
            totals.append(max(reach - 1 if size is None else (-(-size // step) - 1) * step + reach - size, 0))
        return tuple((total // 2, total - total // 2) for total in totals)


class Filtering(Window):
    """A layer whose window is a kernel."""

    kernel_size: Sizes
    strides: Sizes = 1
    dilation_rate: Sizes = 1

    @property
    def window(self) -> tuple[int, ...]:
        """The kernel's size, per axis."""
        return self.each(self.kernel_size)

    @property
    def steps(self) -> tuple[int, ...]:
        """The strides."""
        return self.each(self.strides)

    @property
    def gaps(self) -> tuple[int, ...]:
        """The dilation."""
        return self.each(self.dilation_rate)
