"""Operators that treat each number alone: arithmetic, comparison, logic, choice, casts."""

import operator
from collections.abc import Callable
from functools import reduce
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from worker.network.dtypes import dtype
from worker.network.ops import op, together

Unary = Callable[[Tensor], Tensor]
Binary = Callable[[Tensor, Tensor], Tensor]
WIDE = MappingProxyType({torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64})
"""Where torch can hold a type but hardly compute in it: a type that can, right below 2⁶³."""
STEPPED = frozenset({"BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Ceil", "Floor", "Not", "Round", "Sign"})
"""Operators of numbers that move in steps."""


def widened(value: Tensor) -> Tensor:
    """Return `value` in a type that torch computes in."""
    return value.to(WIDE[value.dtype]) if value.dtype in WIDE else value


def _unary(name: str, function: Unary) -> None:
    def apply(x: Tensor) -> Tensor:
        return function(widened(x)).to(x.dtype)

    op(name, gradient=name not in STEPPED)(apply)


def _binary(name: str, function: Binary, *, truth: bool = False) -> None:
    def apply(a: Tensor, b: Tensor) -> Tensor:
        left, right = together(a, b)
        result = function(widened(left), widened(right))
        return result if truth or a.dtype not in WIDE else result.to(a.dtype)

    op(name, since=7, gradient=not truth and name not in STEPPED)(apply)


def _variadic(name: str, function: Binary) -> None:
    def apply(*values: Tensor) -> Tensor:
        return reduce(function, map(widened, together(*values))).to(values[0].dtype)

    op(name)(apply)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _sign(x: Tensor) -> Tensor:
    return torch.where(torch.isnan(x), x, torch.sign(x)) if x.is_floating_point() else torch.sign(x)


_FUNCTIONS: dict[str, Unary] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "BitwiseNot": torch.bitwise_not,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Log": torch.log,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,
    "Sign": _sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
}
for _name, _function in _FUNCTIONS.items():
    _unary(_name, _function)

_ARITHMETIC: dict[str, Binary] = {
    "Add": torch.add,
    "BitwiseAnd": torch.bitwise_and,
    "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
    "Div": _divide,
    "Mul": torch.mul,
    "Sub": torch.sub,
}
for _name, _pair in _ARITHMETIC.items():
    _binary(_name, _pair)

for _name, _pair in {
    "And": torch.logical_and,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}.items():
    _binary(_name, _pair, truth=True)

_COMBINATIONS: dict[str, Binary] = {"Max": torch.maximum, "Min": torch.minimum, "Sum": torch.add}
for _name, _pair in _COMBINATIONS.items():
    _variadic(_name, _pair)


@op("Mean")
def mean(*values: Tensor) -> Tensor:
    """The mean over the inputs, element by element."""
    return reduce(operator.add, together(*values)) / len(values)


@op("Identity")
def identity(x: Tensor) -> Tensor:
    """y = x."""
    return x


@op("IsNaN", gradient=False)
def is_nan(x: Tensor) -> Tensor:
    """True where x is not a number."""
    return torch.isnan(x)


@op("IsInf", gradient=False)
def is_inf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """True where x is infinite, of the signs asked for."""
    return (torch.isposinf(x) & bool(detect_positive)) | (torch.isneginf(x) & bool(detect_negative))


@op("Mod")
def mod(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """The remainder, with the sign of the divisor, or of the dividend where `fmod`."""
    left, right = map(widened, together(a, b))
    return (torch.fmod(left, right) if fmod else torch.remainder(left, right)).to(a.dtype)


@op("Pow", since=7)
def power(a: Tensor, b: Tensor) -> Tensor:
    """A to the power of b, in the type of a."""
    left, right = map(widened, together(a, b))
    if left.is_floating_point():
        return torch.pow(left, right.to(left.dtype)) if not right.requires_grad else torch.pow(left, right).to(a.dtype)
    if right.is_floating_point():
        return torch.pow(left.double(), right.double()).to(a.dtype)
    return torch.pow(left, right).to(a.dtype)


@op("Clip", since=11)
def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """X between two bounds; on a bound no gradient passes, as in torch's hardtanh and relu6."""
    if low is not None and high is not None and _settled(x, low, high):
        return functional.hardtanh(x, float(low), float(high))
    y = widened(x)
    if low is not None:
        y = torch.maximum(*together(y, widened(low)))
    if high is not None:
        y = torch.minimum(*together(y, widened(high)))
    return y.to(x.dtype)


def _settled(x: Tensor, low: Tensor, high: Tensor) -> bool:
    """Whether both bounds are numbers in order that can be read at once, and x holds floats."""
    if not x.is_floating_point() or low.numel() != 1 or high.numel() != 1:
        return False
    here = low.device.type == high.device.type == "cpu" and not (low.requires_grad or high.requires_grad)
    return here and bool(low <= high)


@op("Clip", since=6)
def clip_by_attributes(x: Tensor, *, min: float = -3.4028234663852886e38, max: float = 3.4028234663852886e38) -> Tensor:  # noqa: A002  the specification's names
    """X between two bounds."""
    return x.clamp(min, max)


@op("Where")
def where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A where the condition holds, b elsewhere."""
    test, yes, no = together(condition, a, b)
    return torch.where(test, widened(yes), widened(no)).to(a.dtype)


@op("BitShift", gradient=False)
def bit_shift(a: Tensor, b: Tensor, *, direction: str) -> Tensor:
    """A shifted by b bits; what leaves the type is lost, and the sign stays where it is shifted down."""
    bits = 8 * a.element_size()
    left, right = together(a.to(torch.int64), b.to(torch.int64))
    steps = right.clamp(0, bits - 1)
    moved = left << steps if direction == "LEFT" else _shifted_down(left, steps, logical=a.dtype == torch.uint64)
    gone = -(left < 0).long() if direction != "LEFT" and a.dtype.is_signed else torch.zeros_like(left)
    return torch.where((right >= 0) & (right < bits), moved, gone).to(a.dtype)


def _shifted_down(left: Tensor, steps: Tensor, *, logical: bool) -> Tensor:
    """Return 64 bits shifted down; zeros come from above where `logical`, else the sign."""
    if not logical:
        return left >> steps
    halved = (left >> 1) & torch.iinfo(torch.int64).max
    return torch.where(steps == 0, left, halved >> (steps - 1).clamp(min=0))


@op("BitCast", since=26, gradient=False)
def bit_cast(x: Tensor, *, to: int) -> Tensor:
    """The bits of x read as another type of the same size."""
    return x.contiguous().view(dtype(to))
