"""Operators as versions 1 to 6 of ai.onnx had them, by way of what they became."""

from collections.abc import Sequence

import torch
from onnx import TensorProto
from torch import Tensor

from service.contract.problem import UnsupportedModel
from worker.network.ops import Context, integers, op
from worker.network.ops.standard import standard

ARITHMETIC = ("Add", "Div", "Mul", "Pow", "Sub")
TRUTHS = ("And", "Equal", "Greater", "Less", "Or", "Xor")


def _aligned(name: str, *, gradient: bool) -> None:
    def apply(a: Tensor, b: Tensor, *, axis: int | None = None, broadcast: int = 0) -> Tensor:
        behind = 0 if axis is None else a.dim() - axis % a.dim() - b.dim()
        y: Tensor = standard(name)(a, b.reshape([*b.shape, *[1] * behind]))
        return y

    op(name, gradient=gradient)(apply)


for _name in ARITHMETIC:
    _aligned(_name, gradient=True)
for _name in TRUTHS:
    _aligned(_name, gradient=False)


@op("Gemm")
def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    broadcast: int = 0,
    transA: int = 0,  # noqa: N803  the specification's name
    transB: int = 0,  # noqa: N803  the specification's name
) -> Tensor:
    """Alpha a b + beta c, where c is broadcast by its last axes."""
    y: Tensor = standard("Gemm")(a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)
    return y


@op("PRelu")
def p_relu(x: Tensor, slope: Tensor) -> Tensor:
    """X where it is positive, elsewhere slope x; the slope is one number, or one per channel."""
    y: Tensor = standard("PRelu")(x, slope.reshape([-1, *[1] * (x.dim() - 2)]))
    return y


@op("Cast")
def cast(x: Tensor, *, to: str) -> Tensor:
    """X in the type of this name."""
    codes: dict[str, int] = dict(TensorProto.DataType.items())
    if to not in codes:
        msg = f"The model casts to {to!r}, which is no type."
        raise UnsupportedModel(msg)
    y: Tensor = standard("Cast")(x, to=codes[to])
    return y


@op("Clip")
def clip(x: Tensor, *, min: float | None = None, max: float | None = None) -> Tensor:  # noqa: A002  the specification's names
    """X between two bounds."""
    return x if min is None and max is None else x.clamp(min, max)


@op("Concat")
def concat(*parts: Tensor, axis: int = 1) -> Tensor:
    """The parts joined along an axis."""
    y: Tensor = standard("Concat")(*parts, axis=axis)
    return y


@op("Pad")
def pad(x: Tensor, *, paddings: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """X with elements added before and after along each axis."""
    y: Tensor = standard("Pad", 2)(x, pads=paddings, mode=mode, value=value)
    return y


@op("Reshape")
def reshape(x: Tensor, *, shape: Sequence[int]) -> Tensor:
    """X in another shape; -1 is inferred, and 0 keeps a size."""
    y: Tensor = standard("Reshape")(x, torch.tensor(shape))
    return y


@op("Selu")
def selu(x: Tensor, *, alpha: float = 1.6732, gamma: float = 1.0507) -> Tensor:
    """Gamma times x where it is positive, gamma alpha (eˣ - 1) elsewhere."""
    y: Tensor = standard("Selu")(x, alpha=alpha, gamma=gamma)
    return y


@op("Split")
def split(
    x: Tensor, sizes: Tensor | None = None, *, axis: int = 0, split: Sequence[int] | None = None, context: Context
) -> tuple[Tensor, ...]:
    """X cut along an axis, into the sizes that an input or the attribute gives, or equal ones."""
    asked = integers(sizes) if sizes is not None else split
    parts: tuple[Tensor, ...] = standard("Split", 2)(x, axis=axis, split=asked, context=context)
    return parts


@op("Tile")
def tile(x: Tensor, tiles: Tensor, axis: Tensor) -> Tensor:
    """X repeated along one axis."""
    repeats = [1] * x.dim()
    repeats[int(axis)] = int(tiles)
    return x.repeat(repeats)


@op("Upsample")
def upsample(x: Tensor, *, height_scale: float, width_scale: float, mode: str = "nearest") -> Tensor:
    """Images with their sizes multiplied by scales."""
    y: Tensor = standard("Upsample")(x, torch.tensor([1.0, 1.0, height_scale, width_scale]), mode=mode)
    return y
