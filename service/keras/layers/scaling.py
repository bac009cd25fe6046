"""Layers of keras.applications that scale what a branch adds."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from service.contract.problem import Invalid
from service.keras.base import Call, KerasLayer, Shape, shown
from service.keras.layers import keras

Factor = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


@keras("LayerScale")
class LayerScale(KerasLayer):
    """x times a learned number per feature, as ConvNeXt's branches end (Touvron et al. 2021)."""

    init_values: Factor
    projection_dim: Annotated[int, Field(ge=1, le=1_000_000)]

    @property
    def gamma_initializer(self) -> dict[str, Any]:
        """Where the numbers start."""
        return {"class_name": "Constant", "config": {"value": self.init_values}}

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, whose last size must be the numbers'."""
        if shape[-1:] != (self.projection_dim,):
            detail = f"{self.projection_dim} numbers do not lie along the last axis of {shown(shape)}."
            raise Invalid(detail, pointer=f"{at}/config/projection_dim")
        return shape

    def weights(self, shape: Shape) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return a number per feature."""
        return self.projection_dim


@keras("CustomScaleLayer")
class CustomScaleLayer(KerasLayer):
    """The first tensor plus the second times a number, as Inception-ResNet's branches end (Szegedy et al. 2017)."""

    masking: ClassVar[Literal["passes", "stops"]] = "stops"

    scale: Factor

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shape that both have."""
        shapes = [each.shape for each in call.leaves]
        if len(shapes) != 2 or shapes[0] != shapes[1]:  # noqa: PLR2004  two
            detail = f"Two tensors of one shape are added; there are {', '.join(map(shown, shapes))}."
            raise Invalid(detail, pointer=at)
        return (shapes[0],)

    def held(self, call: Call[Any]) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return none."""
        return 0
