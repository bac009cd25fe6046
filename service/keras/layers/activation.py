"""Activations as layers of their own, with numbers or weights."""

from math import prod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from service.keras.axes import inner_axes, inner_axis
from service.keras.base import Call, KerasLayer, Shape, Spec, known
from service.keras.layers import keras

Level = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class ActivationLayer(KerasLayer):
    """An activation as a layer."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"


@keras("ReLU")
class ReLU(ActivationLayer):
    """min(x, max_value) where x is above the threshold, negative_slope (x - threshold) elsewhere."""

    max_value: Level | None = None
    negative_slope: Level | None = 0.0
    threshold: Level | None = 0.0


@keras("LeakyReLU")
class LeakyReLU(ActivationLayer):
    """x where x is positive, negative_slope x elsewhere; tf.keras 2 calls it alpha."""

    negative_slope: Level = Field(default=0.3, validation_alias=AliasChoices("negative_slope", "alpha"))
    ignored: ClassVar[frozenset[str]] = frozenset({"alpha"})


@keras("ELU")
class ELU(ActivationLayer):
    """x where x is positive, alpha (exp x - 1) elsewhere."""

    alpha: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] = 1.0


@keras("ThresholdedReLU")
class ThresholdedReLU(ActivationLayer):
    """x where x is above theta, 0 elsewhere; of tf.keras 2."""

    theta: Level = 1.0


@keras("PReLU")
class PReLU(ActivationLayer):
    """x where x is positive, alpha x elsewhere; alpha has a number per place of a sample, but along shared axes."""

    alpha_initializer: Spec = "zeros"
    alpha_regularizer: Spec = None
    shared_axes: list[Annotated[int, Field(ge=1)]] | None = None

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, whose sizes must be known but along shared axes."""
        for axis in self.shared_axes or ():
            inner_axis(axis, shape, f"{at}/config/shared_axes")
        for size in self.sizes(shape):
            known(size, at, "sizes of the input along axes that are not shared")
        return shape

    def sizes(self, shape: Shape) -> Shape:
        """Return the shape of alpha."""
        shared = self.shared_axes or ()
        return tuple(1 if axis in shared else size for axis, size in enumerate(shape, 1))

    def weights(self, shape: Shape) -> int:
        """Return how many alphas there are."""
        return prod(size or 1 for size in self.sizes(shape))


@keras("Softmax")
class Softmax(ActivationLayer):
    """exp x over its sum along one axis or several; where a mask says no, there is no share."""

    parameters: ClassVar[tuple[str, ...]] = ("inputs", "mask")

    axis: int | list[int] = -1

    @property
    def axes(self) -> list[int]:
        """The axes."""
        return self.axis if isinstance(self.axis, list) else [self.axis]

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Leave the shape; Invalid where it lacks an axis, or where the batch's is one."""
        shape = call.of("inputs")[0].shape
        inner_axes(self.axes, shape, f"{at}/config/axis")
        return (shape,)
