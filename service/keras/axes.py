"""Axes by number, as Keras counts them: 0 is the batch's, -1 the last."""

from collections.abc import Sequence

from service.contract.problem import Invalid
from service.keras.base import Shape


def any_axis(axis: int, rank: int, at: str) -> int:
    """Return an axis counted from the front; Invalid, pointing at `at`, where there is none of `rank`."""
    if not -rank <= axis < rank:
        detail = f"There is no axis {axis}; the input has {rank}, the batch's included."
        raise Invalid(detail, pointer=at)
    return axis % rank


def inner_axis(axis: int, shape: Shape, at: str) -> int:
    """Return an axis of a sample of this shape, the batch's being 0; Invalid where it is the batch's, or none."""
    found = any_axis(axis, len(shape) + 1, at)
    if not found:
        detail = f"Axis {axis} is the batch's; samples must not mix."
        raise Invalid(detail, pointer=at)
    return found


def inner_axes(axes: int | Sequence[int], shape: Shape, at: str, *, ordered: bool = True) -> tuple[int, ...]:
    """Return axes of a sample, from the first on or as they are named.

    Invalid where one is the batch's, none, or named twice.
    """
    listed = (axes,) if isinstance(axes, int) else axes
    found = [inner_axis(axis, shape, at) for axis in listed]
    if not found or len(set(found)) < len(found):
        detail = f"One axis or more are expected, each once; there are {list(listed)}."
        raise Invalid(detail, pointer=at)
    return tuple(sorted(found) if ordered else found)
