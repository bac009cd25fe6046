"""Numbers of eight bits and less: widened where something is computed, narrowed as ONNX's Cast says."""

from math import inf, nan
from typing import Final

import torch
from torch import Tensor

from worker.network.dtypes import INT2, INT4, UINT2, UINT4

WHOLE: Final = {INT4: (torch.int8, 4), UINT4: (torch.uint8, 4), INT2: (torch.int8, 2), UINT2: (torch.uint8, 2)}
"""Whole numbers that lie one to a byte: the byte's type, and how many bits of it count."""
FLOAT4: Final = torch.float4_e2m1fn_x2
FLOAT4_VALUES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
POWERS: Final = torch.float8_e8m0fnu
"""The type of scales, which holds powers of two and nothing else."""
LAST: Final = {
    torch.float8_e4m3fn: (464.0, nan),
    torch.float8_e4m3fnuz: (247.99998, nan),
    torch.float8_e5m2: (61439.996, inf),
    torch.float8_e5m2fnuz: (61439.996, nan),
}
"""The largest float32 that rounds to a finite number, and what becomes of larger ones where nothing saturates."""
NARROW: Final = frozenset({*WHOLE, *LAST, FLOAT4, POWERS})


def limits(kind: torch.dtype) -> tuple[float, float]:
    """Return the smallest and the largest number of a type."""
    if kind in WHOLE:
        base, bits = WHOLE[kind]
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if base.is_signed else (0, 2**bits - 1)
    if kind == FLOAT4:
        return -FLOAT4_VALUES[-1], FLOAT4_VALUES[-1]
    known = torch.finfo(kind) if kind.is_floating_point else torch.iinfo(kind)
    return known.min, known.max


def wide(x: Tensor) -> Tensor:
    """Return the numbers of x in a type that torch computes with: itself but for narrow ones."""
    if x.dtype in WHOLE:
        return x.view(WHOLE[x.dtype][0])
    if x.dtype == FLOAT4:
        table = torch.tensor(FLOAT4_VALUES, device=x.device)
        code = x.view(torch.uint8).to(torch.int64)
        return torch.where(code >= len(table), -1.0, 1.0) * table[code % len(table)]
    return x.float() if x.dtype in NARROW else x


def cast(x: Tensor, kind: torch.dtype, *, saturate: bool = True, rounding: str = "up") -> Tensor:
    """Return x in another type: whole numbers lose their upper bits, floats go to the nearest, ties to even.

    With `saturate` floats of eight bits stop at the largest finite one.  `rounding` (up, down or nearest) is that of
    powers of two.
    """
    held = wide(x)
    if kind in WHOLE:
        return _cut(held, kind)
    if kind == FLOAT4:
        return _float4(held.float())
    if kind == POWERS:
        return _power(held.float(), saturate=saturate, rounding=rounding)
    return _float8(held.float(), kind, saturate=saturate) if kind in LAST else held.to(kind)


def _cut(x: Tensor, kind: torch.dtype) -> Tensor:
    base, bits = WHOLE[kind]
    low = torch.bitwise_and(x.to(torch.int32), 2**bits - 1)
    return (torch.where(low > limits(kind)[1], low - 2**bits, low)).to(base).view(kind)


def _float4(x: Tensor) -> Tensor:
    size = x.abs()
    passed = [size > bound for bound in (0.25, 1.25, 2.5, 5.0)] + [size >= bound for bound in (0.75, 1.75, 3.5)]
    sign = torch.signbit(x) | x.isnan()
    return torch.stack([*passed, *[sign] * len(FLOAT4_VALUES)]).sum(0).to(torch.uint8).view(FLOAT4)


def _float8(x: Tensor, kind: torch.dtype, *, saturate: bool) -> Tensor:
    least, most = limits(kind)
    inside = x.clamp(least, most).to(kind)
    if saturate:
        return inside
    last, beyond = LAST[kind]
    outside = torch.full_like(x, beyond).copysign(x).to(kind)
    return torch.where(x.abs() > last, outside.view(torch.uint8), inside.view(torch.uint8)).view(kind)


def _power(x: Tensor, *, saturate: bool, rounding: str) -> Tensor:
    bits = x.abs().view(torch.int32)
    exponent, rest = bits >> 23, bits & (2**23 - 1)
    past = {"up": 0, "down": 2**23, "nearest": 2**22 - 1}[rounding]
    code = exponent + (rest > past)
    code = torch.where(x.isnan(), 255, code.clamp(max=254) if saturate else code)
    return code.to(torch.uint8).view(POWERS)
