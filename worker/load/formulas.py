"""Activations as ONNX's operators, by name and numbers, for whatever file names them.

Each takes the builder, the value, the role of its last node in the layer ("" where it is the layer itself), and its
numbers.  Roles of the nodes before it stand behind that one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import torch

from worker.load.builder import Builder

Formula: TypeAlias = Callable[..., str]

PLAIN: Final[Mapping[str, str]] = {
    "exponential": "Exp",
    "hard_silu": "HardSwish",
    "mish": "Mish",
    "relu": "Relu",
    "selu": "Selu",
    "sigmoid": "Sigmoid",
    "softsign": "Softsign",
    "tanh": "Tanh",
}
"""Those that are an operator without numbers."""


def put(name: str, build: Builder, value: str, role: str = "", **numbers: Any) -> str:  # noqa: ANN401  numbers of all kinds
    """Put down an activation; return its value.  KeyError where there is none of that name."""
    if name in PLAIN and not numbers:
        return build.node(PLAIN[name], value, role=role)
    return _FORMULAS[name](build, value, role, **numbers)


def number(build: Builder, role: str, value: float) -> str:
    """Put down a constant number."""
    return build.constant(role, torch.tensor(float(value)))


def part(role: str, name: str) -> str:
    """Return the role of a node before the one of this role."""
    return f"{role}.{name}" if role else name


def clip(build: Builder, value: str, role: str, low: float = -1.0, high: float = 1.0) -> str:
    """Put a value between two bounds."""
    return build.node(
        "Clip", value, number(build, part(role, "low"), low), number(build, part(role, "high"), high), role=role
    )


def rectifier(
    build: Builder,
    value: str,
    role: str,
    *,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> str:
    """min(x, max) where x is above the threshold, slope (x - threshold) elsewhere."""
    if max_value is None and not threshold:
        if not negative_slope:
            return build.node("Relu", value, role=role)
        return build.node("LeakyRelu", value, role=role, alpha=float(negative_slope))
    above = _above(build, value, part(role, "above") if negative_slope else role, max_value, threshold)
    if not negative_slope:
        return above
    level = number(build, part(role, "level"), threshold)
    below = build.node("Relu", build.node("Sub", level, value, role=part(role, "under")), role=part(role, "below"))
    slope = number(build, part(role, "slope"), negative_slope)
    return build.node("Sub", above, build.node("Mul", below, slope, role=part(role, "slid")), role=role)


def _above(build: Builder, value: str, role: str, most: float | None, threshold: float) -> str:
    """Put down x where it is above the threshold, at most `most`, and 0 elsewhere."""
    if not threshold:
        return clip(build, value, role, 0, most or 0)
    kept = build.node(
        "ThresholdedRelu", value, role=role if most is None else part(role, "kept"), alpha=float(threshold)
    )
    return kept if most is None else build.node("Min", kept, number(build, part(role, "max"), most), role=role)


def threshold(build: Builder, value: str, role: str, threshold: float, default_value: float = 0.0) -> str:
    """x where it is above the threshold, another number elsewhere."""
    if not default_value:
        return build.node("ThresholdedRelu", value, role=role, alpha=float(threshold))
    above = build.node("Greater", value, number(build, part(role, "threshold"), threshold), role=part(role, "above"))
    return build.node("Where", above, value, number(build, part(role, "value"), default_value), role=role)


def silu(build: Builder, value: str, role: str) -> str:
    """x times its sigmoid."""
    return build.node("Mul", value, build.node("Sigmoid", value, role=part(role, "sigmoid")), role=role)


def log_sigmoid(build: Builder, value: str, role: str) -> str:
    """-softplus(-x)."""
    turned = build.node("Neg", value, role=part(role, "turned"))
    return build.node("Neg", build.node("Softplus", turned, role=part(role, "softplus")), role=role)


def tanh_shrink(build: Builder, value: str, role: str) -> str:
    """x - tanh x."""
    return build.node("Sub", value, build.node("Tanh", value, role=part(role, "tanh")), role=role)


def softplus(build: Builder, value: str, role: str, beta: float = 1.0) -> str:
    """ln(1 + exp(beta x)) / beta."""
    if beta == 1:
        return build.node("Softplus", value, role=role)
    factor = number(build, part(role, "beta"), beta)
    times = build.node("Mul", value, factor, role=part(role, "times"))
    return build.node("Div", build.node("Softplus", times, role=part(role, "plus")), factor, role=role)


def squareplus(build: Builder, value: str, role: str, b: float = 4.0) -> str:
    """(x + √(x² + b)) / 2."""
    square = build.node("Mul", value, value, role=part(role, "square"))
    raised = build.node("Add", square, number(build, part(role, "b"), b), role=part(role, "raised"))
    twice = build.node("Add", value, build.node("Sqrt", raised, role=part(role, "root")), role=part(role, "twice"))
    return build.node("Mul", twice, number(build, part(role, "half"), 0.5), role=role)


def sparse_plus(build: Builder, value: str, role: str) -> str:
    """0 below -1, (x + 1)² / 4 up to 1, x above: the square of the part between, plus what is above."""
    one, half = number(build, part(role, "one"), 1), number(build, part(role, "half"), 0.5)
    between = build.node("Clip", value, number(build, part(role, "low"), -1), one, role=part(role, "between"))
    halved = build.node(
        "Mul", build.node("Add", between, one, role=part(role, "raised")), half, role=part(role, "halved")
    )
    square = build.node("Mul", halved, halved, role=part(role, "square"))
    above = build.node("Relu", build.node("Sub", value, one, role=part(role, "lowered")), role=part(role, "above"))
    return build.node("Add", square, above, role=role)


def glu(build: Builder, value: str, role: str, axis: int = -1) -> str:
    """The first half along an axis times the sigmoid of the second."""
    first, second = halves(build, value, role, axis)
    return build.node("Mul", first, build.node("Sigmoid", second, role=part(role, "gate")), role=role)


def halves(build: Builder, value: str, role: str, axis: int) -> tuple[str, ...]:
    """Put down the cut of a value into two halves along an axis."""
    return build.nodes("Split", value, role=part(role, "halves"), outputs=("first", "second"), axis=axis, num_outputs=2)


def softmax(build: Builder, value: str, role: str, axis: int = -1) -> str:
    """Softmax."""
    return build.node("Softmax", value, role=role, axis=axis)


def log_softmax(build: Builder, value: str, role: str, axis: int = -1) -> str:
    """LogSoftmax."""
    return build.node("LogSoftmax", value, role=role, axis=axis)


def sparsemax(build: Builder, value: str, role: str, axis: int = -1, *, summed: bool = False) -> str:
    """max(x - τ, 0).

    With x in descending order, k is the last place where 1 + k xₖ is above the sum of the k largest; that sum less 1,
    over k, is τ (Martins and Astudillo 2016, algorithm 1).  Keras adds the sums of all places up to k instead
    (`summed`).
    """

    def node(op: str, *inputs: str, name: str, **attributes: Any) -> str:  # noqa: ANN401  numbers of all kinds
        return build.node(op, *inputs, role=part(role, name), **attributes)

    one, along = number(build, part(role, "one"), 1), build.constant(part(role, "axis"), torch.tensor([axis]))
    end: dict[str, Any] = {} if axis == -1 else {"end": axis + 1}
    count = node("Shape", value, name="count", start=axis, **end)
    order, _ = build.nodes("TopK", value, count, role=part(role, "order"), outputs=("out", "places"), axis=axis)
    scalar = build.constant(part(role, "along"), torch.tensor(axis))
    sums = node("CumSum", order, scalar, name="sums")
    ones = build.node(
        "ConstantOfShape", node("Shape", value, name="sizes"), role=part(role, "ones"), value=torch.ones(1)
    )
    scaled = node("Mul", order, node("CumSum", ones, scalar, name="places"), name="scaled")
    within = node("Greater", node("Add", scaled, one, name="raised"), sums, name="within")
    inside = node("Cast", within, name="inside", to=1)
    size = node("ReduceSum", inside, along, name="size", keepdims=1)
    kept = node("Mul", sums if summed else order, inside, name="kept")
    largest = node("Sub", node("ReduceSum", kept, along, name="largest", keepdims=1), one, name="rest")
    lowered = node("Sub", value, node("Div", largest, size, name="tau"), name="lowered")
    return build.node("Relu", lowered, role=role)


def _operator(op: str, **renamed: str) -> Formula:
    """Return the formula of an operator whose attributes are numbers of these names."""

    def formula(build: Builder, value: str, role: str, **numbers: float) -> str:
        attributes: dict[str, Any] = {renamed[name]: float(given) for name, given in numbers.items()}
        return build.node(op, value, role=role, **attributes)

    return formula


_FORMULAS: Final[dict[str, Formula]] = {
    "celu": _operator("Celu", alpha="alpha"),
    "elu": _operator("Elu", alpha="alpha"),
    "gelu": lambda build, value, role, approximate=0: build.node(
        "Gelu", value, role=role, approximate="tanh" if approximate else "none"
    ),
    "glu": glu,
    "hard_shrink": lambda build, value, role, threshold: build.node(
        "Shrink", value, role=role, bias=0.0, lambd=float(threshold)
    ),
    "hard_sigmoid": lambda build, value, role, slope=1 / 6: build.node(
        "HardSigmoid", value, role=role, alpha=float(slope), beta=0.5
    ),
    "hard_tanh": clip,
    "leaky_relu": _operator("LeakyRelu", negative_slope="alpha"),
    "log_sigmoid": log_sigmoid,
    "log_softmax": log_softmax,
    "relu": rectifier,
    "relu6": lambda build, value, role: clip(build, value, role, 0, 6),
    "silu": silu,
    "soft_shrink": lambda build, value, role, threshold: build.node(
        "Shrink", value, role=role, bias=float(threshold), lambd=float(threshold)
    ),
    "softmax": softmax,
    "softplus": softplus,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": lambda build, value, role: build.node("HardSigmoid", value, role=role, alpha=0.5, beta=0.5),
    "sparsemax": sparsemax,
    "squareplus": squareplus,
    "tanh_shrink": tanh_shrink,
    "threshold": threshold,
}
