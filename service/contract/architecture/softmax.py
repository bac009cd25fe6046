"""Activations along an axis: what a number becomes depends on its neighbours."""

from typing import Literal, TypeAlias

from pydantic import ConfigDict

from service.contract.architecture.axes import Axis, feature_axis, placed
from service.contract.architecture.base import LayerBase, Shape
from service.contract.problem import Invalid


class AxisBase(LayerBase):
    """What activations along an axis share."""

    axis: Axis | None = None
    """0 is the first behind the batch's, -1 the last; the features, or an image's channels, by default."""

    def along(self, shape: Shape, at: str = "") -> int:
        """Return the axis, counted from the front; Invalid where the shape has no such."""
        return feature_axis(shape) if self.axis is None else placed(self.axis, shape, f"{at}/axis")

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have the axis."""
        self.along(shape, at)
        return shape


class Softmax(AxisBase):
    """exp x over its sum along an axis, or the logarithm of that; `softmin` is the softmax of -x."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "softmax"}, {"kind": "log_softmax"}, {"kind": "softmin", "axis": 0}]}
    )

    kind: Literal["softmax", "log_softmax", "softmin"]


class Sparsemax(AxisBase):
    """The point of the simplex next to x along an axis: shares that sum to 1, most of them 0.

    Martins and Astudillo 2016.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "sparsemax"}]})

    kind: Literal["sparsemax"]


class Glu(AxisBase):
    """The first half along an axis, multiplied by a function of the second: sigmoid, or SwiGLU's, GEGLU's, ReGLU's."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "glu", "gate": "silu"}, {"kind": "glu", "axis": -1}]}
    )

    kind: Literal["glu"]
    gate: Literal["sigmoid", "silu", "gelu", "relu", "tanh", "none"] = "sigmoid"
    """What becomes of the second half; `none` leaves it as it is (a bilinear gate)."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape with the axis halved; Invalid where its size is odd."""
        axis = self.along(shape, at)
        if shape[axis] % 2:
            detail = f"The axis that is halved has a size of {shape[axis]}, which is odd."
            raise Invalid(detail, pointer=at if self.axis is None else f"{at}/axis")
        return (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])


Softmaxes: TypeAlias = Softmax | Sparsemax | Glu
