"""What an operator was fed that it cannot bear, in half a sentence: one function per way to make NaN or an infinity.

Each takes the operator's float inputs, and whether it was on the way back that the number arose, and returns None where
that is not what happened.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import torch
from torch import Tensor

Fed: TypeAlias = Sequence[Tensor]
Tell: TypeAlias = Callable[[Fed, bool], str | None]

_LARGEST: Final = 88.7
"""e to the power of more is beyond float32."""


def cause(op: str, fed: Fed, *, backward: bool) -> str:
    """Say what the operator was fed."""
    fed = [value.detach() for value in fed if value.is_floating_point() and value.numel()]
    if not fed:
        return "its own arithmetic fails"
    told = _CAUSES[op](fed, backward) if op in _CAUSES else None
    return told or _zero_by_infinity(op, fed) or _large(fed, backward)


def _logarithm(fed: Fed, backward: bool) -> str | None:  # noqa: FBT001
    low = float(fed[0].min())
    if low > 0:
        return None
    slope = ", where its slope is infinite" if backward and low == 0 else ""
    return f"it takes the logarithm of {low:.3g}{slope}"


def _root(fed: Fed, backward: bool) -> str | None:  # noqa: FBT001
    low = float(fed[0].min())
    if low > 0 or (low == 0 and not backward):
        return None
    return f"it takes the root of {low:.3g}" + (", where its slope is infinite" if backward and low == 0 else "")


def _quotient(fed: Fed, backward: bool) -> str | None:  # noqa: FBT001
    if not bool((fed[-1] == 0).any()):
        return None
    both = len(fed) > 1 and bool(((fed[0] == 0) & (fed[-1] == 0)).any())
    return "it divides zero by zero" if both else "it divides by zero"


def _power(fed: Fed, backward: bool) -> str | None:  # noqa: FBT001
    low = float(fed[0].min())
    if low > 0:
        return None
    exponent = f"{float(fed[1].flatten()[0]):.3g}" if len(fed) > 1 else "a power"
    slope = ", where its slope is infinite" if backward and low == 0 else ""
    return (
        f"it raises {low:.3g} to the power of {exponent}{slope}" if len(fed) > 1 else f"it raises {low:.3g} to a power"
    )


def _exponential(fed: Fed, backward: bool) -> str | None:  # noqa: FBT001
    high = float(fed[0].max())
    return f"it takes the exponential of {high:.3g}" if high > _LARGEST else None


def _arc(fed: Fed, backward: bool) -> str | None:  # noqa: FBT001
    high = float(fed[0].abs().max())
    return f"it takes an inverse function of {high:.3g}, at or beyond the end of its range" if high >= 1 else None


def _softmax(fed: Fed, backward: bool) -> str | None:  # noqa: FBT001
    shut = fed[0].isneginf().all(-1)
    return "every score of a row is -inf: a mask leaves it nothing to look at" if bool(shut.any()) else None


def _difference(fed: Fed, backward: bool) -> str | None:  # noqa: FBT001
    infinite = len(fed) > 1 and all(bool(value.isinf().any()) for value in fed[:2])
    return "it subtracts infinity from infinity" if infinite else None


def _zero_by_infinity(op: str, fed: Fed) -> str | None:
    if op not in _PRODUCTS or len(fed) < 2:  # noqa: PLR2004
        return None
    infinite = [bool(value.isinf().any()) for value in fed[:2]]
    zero = [bool((value == 0).any()) for value in fed[:2]]
    meets = (infinite[0] and zero[1]) or (infinite[1] and zero[0])
    return "it multiplies zero by infinity, as a mask of zeros does" if meets else None


def _large(fed: Fed, backward: bool) -> str:  # noqa: FBT001
    largest = max(float(value[value.isfinite()].abs().max()) if bool(value.isfinite().any()) else 0 for value in fed)
    infinite = any(bool(value.isinf().any()) for value in fed)
    if infinite:
        return "infinities reach it"
    if backward:
        return f"its slope, or the gradient that reaches it, overflows; it was fed numbers as large as {largest:.3g}"
    return f"numbers as large as {largest:.3g} reach it, and float32 ends at 3.4e38"


_PRODUCTS: Final = frozenset({"Mul", "MatMul", "Gemm", "Einsum", "Where"})
_CAUSES: Final[Mapping[str, Tell]] = {
    "Log": _logarithm,
    "Sqrt": _root,
    "Div": _quotient,
    "Reciprocal": _quotient,
    "Pow": _power,
    "Exp": _exponential,
    "Acos": _arc,
    "Asin": _arc,
    "Atanh": _arc,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Sub": _difference,
    "Add": _difference,
}


def not_finite(value: Tensor) -> bool:
    """Whether a tensor holds NaN or an infinity."""
    return value.is_floating_point() and not bool(value.isfinite().all())


def suspects(values: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that hold NaN or an infinity; one synchronisation where none does.

    A sum of finite numbers is finite, unless they are too large; so a finite sum clears a tensor cheaply.
    """
    floats = {name: value.detach() for name, value in values.items() if value.is_floating_point() and value.numel()}
    if not floats:
        return []
    sums = torch.stack([value.sum(dtype=_wide(value)).double() for value in floats.values()]).isfinite().tolist()
    return [name for (name, value), fine in zip(floats.items(), sums, strict=True) if not fine and not_finite(value)]


def _wide(value: Tensor) -> torch.dtype:
    return value.dtype if value.dtype in {torch.float32, torch.float64} else torch.float32
