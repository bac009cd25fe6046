"""Operators that change a tensor's type."""

from torch import Tensor

from worker.network.dtypes import dtype
from worker.network.lowbit import cast
from worker.network.ops import op


@op("Cast", since=6)
def to_type(x: Tensor, *, to: int, saturate: int = 1, round_mode: str = "up") -> Tensor:
    """X in another type."""
    return cast(x, dtype(to), saturate=bool(saturate), rounding=round_mode)


@op("CastLike", fixed=("like",))
def to_type_of(x: Tensor, like: Tensor, *, saturate: int = 1, round_mode: str = "up") -> Tensor:
    """X in the type of `like`."""
    return cast(x, like.dtype, saturate=bool(saturate), rounding=round_mode)
