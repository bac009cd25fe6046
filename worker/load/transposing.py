"""Values with their axes in another order, around operators that take them there alone."""

from collections.abc import Callable, Sequence

from worker.load.builder import Builder


def axes_last(build: Builder, value: str, rank: int, axes: Sequence[int], inside: Callable[[str, int], str]) -> str:
    """Put down what `inside` makes of the value with these axes last, given the first of them; then turn it back."""
    order = [axis for axis in range(rank) if axis not in axes] + list(axes)
    first = rank - len(axes)
    return _turned(build, value, order, lambda given: inside(given, first))


def axis_second(build: Builder, value: str, rank: int, axis: int, inside: Callable[[str], str]) -> str:
    """Put down what `inside` makes of the value with this axis behind the batch's; then turn it back."""
    return _turned(build, value, [0, axis, *(each for each in range(1, rank) if each != axis)], inside)


def _turned(build: Builder, value: str, order: Sequence[int], inside: Callable[[str], str]) -> str:
    if list(order) == sorted(order):
        return inside(value)
    turned = build.node("Transpose", value, role="turned", perm=tuple(order))
    back = tuple(order.index(axis) for axis in range(len(order)))
    return build.node("Transpose", inside(turned), role="back", perm=back)
