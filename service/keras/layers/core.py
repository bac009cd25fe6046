"""Dense, and activations as layers."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from service.keras.base import KerasLayer, Shape, Spec, known
from service.keras.layers import keras

Units = Annotated[int, Field(ge=1, le=1_000_000)]


@keras("Dense")
class Dense(KerasLayer):
    """activation(x K + b) along the last axis; K has the shape (features, units)."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"

    units: Units
    activation: Spec = None
    use_bias: bool = True
    kernel_initializer: Spec = "glorot_uniform"
    bias_initializer: Spec = "zeros"
    kernel_regularizer: Spec = None
    bias_regularizer: Spec = None

    def output(self, shape: Shape, at: str) -> Shape:
        """Exchange the last axis."""
        known(shape[-1] if shape else None, at, "last axis of the input")
        return (*shape[:-1], self.units)

    def weights(self, shape: Shape) -> int:
        """Return features · units, and units for the bias."""
        return ((shape[-1] or 0) + self.use_bias) * self.units


@keras("Activation")
class Activation(KerasLayer):
    """An activation as a layer."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"

    activation: Spec
