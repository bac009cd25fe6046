"""Functions of keras.ops that treat each number alone: arithmetic, comparison, choice, activations."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from service.contract.problem import UnsupportedModel
from service.keras.axes import any_axis, inner_axis
from service.keras.base import Call, Shape
from service.keras.layers import keras
from service.keras.operations import Operation, calls, spread

Real = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


@keras(
    "ops.Abs", "ops.Absolute", "ops.Arccos", "ops.Arcsin", "ops.Arctan", "ops.Ceil", "ops.Cos", "ops.Cosh", "ops.Erf",
    "ops.Exp", "ops.Expm1", "ops.Floor", "ops.Isnan", "ops.Log", "ops.Log10", "ops.Log1p", "ops.Log2",
    "ops.LogicalNot", "ops.Negative", "ops.Reciprocal", "ops.Rsqrt", "ops.Sign", "ops.Sin", "ops.Sinh", "ops.Sqrt",
    "ops.Square", "ops.StopGradient", "ops.Tan", "ops.Tanh",
    "ops.HardSigmoid", "ops.HardSilu", "ops.HardTanh", "ops.LogSigmoid", "ops.Mish", "ops.Relu", "ops.Relu6",
    "ops.Selu", "ops.Sigmoid", "ops.Silu", "ops.Softplus", "ops.Softsign", "ops.SparsePlus", "ops.SparseSigmoid",
    "ops.TanhShrink",
)  # fmt: skip
class Unary(Operation):
    """A function of one tensor, without numbers."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)


@keras("ops.Round")
class Round(Unary):
    """The next whole number, the even one of two that are as near."""

    decimals: Literal[0] = 0


@keras("ops.Elu", "ops.Celu")
class Alpha(Unary):
    """x where x is positive; an exponential that tends to -alpha elsewhere."""

    alpha: Positive = 1.0


@keras("ops.LeakyRelu")
class LeakyRelu(Unary):
    """x where x is positive, negative_slope x elsewhere."""

    negative_slope: Real = 0.2


@keras("ops.Gelu")
class Gelu(Unary):
    """x Φ(x), or its approximation through tanh."""

    approximate: bool = True


@keras("ops.HardShrink", "ops.SoftShrink")
class Shrink(Unary):
    """0 where |x| is at most the threshold."""

    threshold: Positive = 0.5


@keras("ops.Threshold")
class Threshold(Unary):
    """x where it is above the threshold, another number elsewhere."""

    threshold: Real
    default_value: Real


@keras("ops.Squareplus")
class Squareplus(Unary):
    """(x + √(x² + b)) / 2."""

    b: Positive = 4.0


@keras("ops.Softmax", "ops.LogSoftmax", "ops.Sparsemax")
class Shares(Unary):
    """Shares along an axis."""

    axis: int = -1

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have the axis."""
        inner_axis(self.axis, shape, f"{at}/config/axis")
        return shape


@keras("ops.Glu")
class Glu(Shares):
    """The first half along an axis times the sigmoid of the second."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape with the axis halved."""
        axis = inner_axis(self.axis, shape, f"{at}/config/axis") - 1
        size = shape[axis]
        return (*shape[:axis], None if size is None else size // 2, *shape[axis + 1 :])


@keras(
    "ops.Add", "ops.Subtract", "ops.Multiply", "ops.Divide", "ops.TrueDivide", "ops.Power", "ops.Maximum",
    "ops.Minimum", "ops.Mod", "ops.FloorDivide", "ops.Equal", "ops.NotEqual", "ops.Greater", "ops.GreaterEqual",
    "ops.Less", "ops.LessEqual", "ops.LogicalAnd", "ops.LogicalOr", "ops.LogicalXor",
)  # fmt: skip
class Binary(Operation):
    """A function of two tensors, or of a tensor and a constant."""

    parameters: ClassVar[tuple[str, ...]] = ("x1", "x2")

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shape that both are stretched to."""
        return (spread((call.get(name) for name in self.parameters), call.kind, calls(at)),)


@keras("ops.Where")
class Where(Binary):
    """x1 where the condition holds, x2 elsewhere."""

    parameters: ClassVar[tuple[str, ...]] = ("condition", "x1", "x2")


@keras("ops.Clip")
class Clip(Unary):
    """x between two bounds."""

    x_min: Real
    x_max: Real


@keras("ops.Cast")
class Cast(Unary):
    """x in another type; all floats are float32 here, and all whole numbers int64."""

    dtype: str

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape; UnsupportedModel for types that hold no real numbers."""
        if not self.dtype.startswith(("float", "bfloat", "int", "uint", "bool")):
            detail = f"The type {self.dtype!r:.80} is not examined; floats, whole numbers and bool are."
            raise UnsupportedModel(detail, pointer=f"{at}/config/dtype")
        return shape


@keras("ops.ZerosLike", "ops.OnesLike")
class Like(Unary):
    """Zeros or ones in the shape of x."""

    dtype: str | None = None


@keras("ops.OneHot")
class OneHot(Operation):
    """1 at the place that a whole number names along a new axis, 0 elsewhere."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    num_classes: Annotated[int, Field(ge=1, le=65_536)]
    axis: int = -1

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape with the new axis."""
        axis = any_axis(self.axis, len(shape) + 2, f"{at}/config/axis") - 1
        return (*shape[:axis], self.num_classes, *shape[axis:])


@keras("ops.Normalize")
class Normalize(Unary):
    """x over its length along axes."""

    axis: int | list[int] = -1
    order: Annotated[int, Field(ge=1, le=2)] = 2
    epsilon: Annotated[float, Field(gt=0, le=1)] | None = None

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have the axes."""
        for axis in [self.axis] if isinstance(self.axis, int) else self.axis:
            inner_axis(axis, shape, f"{at}/config/axis")
        return shape
