"""Functions of keras.ops that compute: arithmetic, elementwise functions, activations, reductions, products."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.base import Call, KerasLayer, Shape, shown
from service.keras.layers import keras

ELEMENTWISE: Final = {
    "Absolute": "Abs", "Abs": "Abs", "Ceil": "Ceil", "Cos": "Cos", "Erf": "Erf", "Exp": "Exp", "Floor": "Floor",
    "Log": "Log", "Negative": "Neg", "Reciprocal": "Reciprocal", "Sign": "Sign", "Sin": "Sin", "Sqrt": "Sqrt",
    "Tanh": "Tanh", "Sigmoid": "Sigmoid",
}  # fmt: skip
"""Functions of each number, and ONNX's operators for them."""
BINARY: Final = {
    "Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "TrueDivide": "Div", "Power": "Pow",
    "Maximum": "Max", "Minimum": "Min",
}  # fmt: skip
"""Functions of two numbers, and ONNX's operators for them."""
REDUCTIONS: Final = {
    "Mean": "ReduceMean", "Average": "ReduceMean", "Sum": "ReduceSum", "Max": "ReduceMax", "Min": "ReduceMin",
    "Prod": "ReduceProd", "Logsumexp": "ReduceLogSumExp", "Norm": "ReduceL2", "Var": "", "Std": "",
}  # fmt: skip
"""Functions along axes, and ONNX's operators for them; variances take several."""
ACTIVATIONS: Final[dict[str, tuple[str, ...]]] = {
    "Relu": (), "Relu6": (), "Silu": (), "Selu": (), "Softplus": (), "Softsign": (), "HardSigmoid": (), "HardSilu": (),
    "HardTanh": (), "LogSigmoid": (), "Gelu": ("approximate",), "LeakyRelu": ("negative_slope",), "Elu": ("alpha",),
    "Softmax": ("axis",), "LogSoftmax": ("axis",),
}  # fmt: skip
"""Activations, and the numbers that each takes."""


@keras(*(f"ops.{name}" for name in ELEMENTWISE), "ops.Square", "ops.Rsqrt", "ops.Log1p", "ops.Expm1", "ops.Cast")
class Elementwise(KerasLayer):
    """A function of each number."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)


@keras(*(f"ops.{name}" for name in ACTIVATIONS))
class Function(KerasLayer):
    """An activation, called as a function."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axis: int = -1
    approximate: bool = True
    negative_slope: float = 0.2
    alpha: float = 1.0

    @property
    def spec(self) -> dict[str, Any]:
        """The activation as a config holds it."""
        numbers = {key: getattr(self, key) for key in ACTIVATIONS[self.kind.removeprefix("ops.")]}
        return {"class_name": self.kind.removeprefix("ops."), "config": numbers}


@keras("ops.Clip")
class Clip(KerasLayer):
    """Keeps numbers within two limits."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    x_min: float
    x_max: float


@keras("ops.Normalize")
class Normalize(KerasLayer):
    """Divides by the Euclidean norm along an axis."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)

    axis: int = -1
    order: int = 2
    epsilon: float | None = None

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape."""
        if self.order != 2:  # noqa: PLR2004  Euclid's
            detail = f"Norms of order {self.order} are not examined; 2 is."
            raise UnsupportedModel(detail, pointer=f"{at}/config/order")
        inside(self.axis, shape, at)
        return shape


@keras(*(f"ops.{name}" for name in BINARY))
class Binary(KerasLayer):
    """A function of two numbers, one of which may stand in the file; shapes broadcast as numpy's."""

    parameters: ClassVar[tuple[str, ...]] = ("x1", "x2")

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the broadcast shape."""
        shapes = [each.shape if isinstance(each, call.kind) else None for each in map(call.get, self.parameters)]
        for name, shape in zip(self.parameters, shapes, strict=True):
            if shape is None:
                sizes = constant_shape(call.get(name), at)
                shapes[self.parameters.index(name)] = sizes
        first, second = shapes
        return (broadcast(first or (), second or (), at),)


@keras(*(f"ops.{name}" for name in REDUCTIONS))
class Reduction(KerasLayer):
    """A sum, a mean, an extreme … along axes."""

    parameters: ClassVar[tuple[str, ...]] = ("x",)
    ignored: ClassVar[frozenset[str]] = frozenset({"initial", "dtype", "ord"})

    axis: int | tuple[int, ...] | None = None
    keepdims: bool = False

    def axes(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return the axes, the batch's being 0, which is not summed over."""
        if self.axis is None:
            detail = "A sum over everything joins the samples of a batch; name the axes behind the batch's."
            raise UnsupportedModel(detail, pointer=f"{at}/config/axis")
        listed = (self.axis,) if isinstance(self.axis, int) else self.axis
        return tuple(sorted(inside(axis, shape, at) for axis in listed))

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the axes out, or keep them with one number."""
        axes = self.axes(shape, at)
        if self.keepdims:
            return tuple(1 if axis in axes else size for axis, size in enumerate(shape, 1))
        return tuple(size for axis, size in enumerate(shape, 1) if axis not in axes)


@keras("ops.Matmul")
class Matmul(KerasLayer):
    """The product of matrices along the last two axes."""

    parameters: ClassVar[tuple[str, ...]] = ("x1", "x2")

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return (…, rows, columns)."""
        if len(call.leaves) != 2 or any(len(each.shape) < 2 for each in call.leaves):  # noqa: PLR2004  two matrices
            detail = "A product of two tensors with two axes or more behind the batch's is examined."
            raise UnsupportedModel(detail, pointer=at)
        first, second = (each.shape for each in call.leaves)
        if first[-1] is not None and second[-2] is not None and first[-1] != second[-2]:
            detail = f"The product of {shown(first)} and {shown(second)} does not fit."
            raise Invalid(detail, pointer=at)
        return ((*broadcast(first[:-2], second[:-2], at), first[-2], second[-1]),)


def inside(axis: int, shape: Shape, at: str) -> int:
    """Return an axis counted from the batch's, 0; Invalid for the batch's own, or one that is not there."""
    found = axis + len(shape) + 1 if axis < 0 else axis
    if not 1 <= found <= len(shape):
        what = "is the batch's" if not found else "is not there"
        detail = f"The axis {axis} of {shown(shape)} {what}; an axis behind the batch's is expected."
        raise Invalid(detail, pointer=f"{at}/config")
    return found


def broadcast(first: Sequence[int | None], second: Sequence[int | None], at: str) -> Shape:
    """Return the shape that two come to together."""
    width = max(len(first), len(second))
    sizes = []
    for one, other in zip((*[1] * (width - len(first)), *first), (*[1] * (width - len(second)), *second), strict=True):
        if 1 not in {one, other} and None not in {one, other} and one != other:
            detail = f"{shown(first)} and {shown(second)} do not broadcast."
            raise Invalid(detail, pointer=at)
        sizes.append(other if one == 1 else one if other in {1, None} or one is not None else other)
    return tuple(sizes)


def constant_shape(value: Any, at: str) -> Shape:  # noqa: ANN401  what the file holds
    """Return the shape of numbers that stand in the file; Invalid for other things."""
    sizes: list[int] = []
    while isinstance(value, list) and value:
        sizes.append(len(value))
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        detail = f"A number, or an array of them, is expected; there is {value!r:.80}."
        raise Invalid(detail, pointer=at)
    return tuple(sizes)
