"""Functions of keras.ops that make one number of many along axes."""

from typing import ClassVar, Literal

from service.contract.problem import Invalid
from service.keras.axes import inner_axes, inner_axis
from service.keras.base import Shape
from service.keras.layers import keras
from service.keras.operations import Operation


@keras(
    "ops.Mean", "ops.Average", "ops.Sum", "ops.Max", "ops.Amax", "ops.Min", "ops.Amin", "ops.Prod", "ops.Var",
    "ops.Std", "ops.Any", "ops.All", "ops.Logsumexp",
)  # fmt: skip
class Reduction(Operation):
    """A number of many."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axis: int | list[int] | None = None
    keepdims: bool = False

    def over(self, shape: Shape, at: str = "") -> tuple[int, ...]:
        """Return the axes, the batch's being 0; Invalid where that is among them."""
        if self.axis is None:
            detail = "Without an axis, all samples become one number; samples must not mix."
            raise Invalid(detail, pointer=f"{at}/config/axis")
        return inner_axes(self.axis, shape, f"{at}/config/axis")

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape without the axes, or with 1 in their places."""
        over = self.over(shape, at)
        if self.keepdims:
            return tuple(1 if axis in over else size for axis, size in enumerate(shape, 1))
        return tuple(size for axis, size in enumerate(shape, 1) if axis not in over)


@keras("ops.Norm")
class Norm(Reduction):
    """The length of vectors: the sum of magnitudes, or Euclid's."""

    ord: Literal[1, 2] | None = None


@keras("ops.Argmax", "ops.Argmin")
class Place(Reduction):
    """The place of the largest or smallest number along an axis."""


@keras("ops.Cumsum")
class Cumulative(Operation):
    """Sums of all numbers up to each."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axis: int | None = None
    dtype: str | None = None

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape."""
        if self.axis is None:
            detail = "Without an axis, all samples are laid in a row; samples must not mix."
            raise Invalid(detail, pointer=f"{at}/config/axis")
        inner_axis(self.axis, shape, f"{at}/config/axis")
        return shape
