"""How many numbers an output of a weight is summed from, and how many outputs an input goes to: the fans."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple, TypeAlias

Shape: TypeAlias = tuple[int, ...]


class Fans(NamedTuple):
    """How many numbers each output is summed from, and how many outputs each input goes to."""

    into: int
    out: int

    def of(self, mode: str) -> float:
        """Return fan_in, fan_out, or, for fan_avg, their mean."""
        return {"fan_in": self.into, "fan_out": self.out}.get(mode, (self.into + self.out) / 2)


def fans(shape: Shape, op: str, *, transposed: bool = False) -> Fans:
    """Return the fans of an operator's kernel of this shape.

    Gemm, MatMul: (in, out), or (out, in) where `transposed` (Gemm's transB).  Conv: (out, in / groups, window…), the
    window multiplies both, as in torch.nn.init.  ConvTranspose: (in, out / groups, window…).  LSTM, GRU, RNN:
    (directions, gates · out, in); a gate's own fans need the gates told apart.  Gather: (rows, out); a row is looked
    up, not summed.
    """
    if op == "Gather":
        return Fans(1, prod(shape[1:]))
    if op in {"Conv", "ConvTranspose"}:
        window = prod(shape[2:])
        first, second = shape[0] * window, shape[1] * window
        return Fans(second, first) if op == "Conv" else Fans(first, second)
    if len(shape) == 1:
        return Fans(shape[0], 1)
    return Fans(shape[-1], shape[-2]) if transposed or op in {"LSTM", "GRU", "RNN"} else Fans(shape[-2], shape[-1])


def keras_fans(shape: Shape, into: Sequence[int] | None = None, out: Sequence[int] | None = None) -> Fans:
    """Return the fans that Keras counts in a weight of its own layout (window…, in, out), whatever the layer is.

    Axes named by `into` and `out` (both, or neither counts) are multiplied instead.
    """
    if into is not None and out is not None:
        return Fans(prod(shape[axis] for axis in into), prod(shape[axis] for axis in out))
    if len(shape) <= 1:
        return Fans(prod(shape), prod(shape))
    window = prod(shape[:-2])
    return Fans(shape[-2] * window, shape[-1] * window)
