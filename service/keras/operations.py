"""What the functions of keras.ops share: the nodes that arithmetic on a functional model's tensors leaves in its file.

Their arguments are tensors, numbers, and nested lists of numbers.  A full shape has the batch's axis in front, None.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeAlias

from service.contract.problem import Invalid
from service.keras.base import Call, KerasLayer, Shape

Full: TypeAlias = tuple[int | None, ...]


class Operation(KerasLayer):
    """A function of keras.ops; masks end at it."""

    constants: ClassVar[frozenset[str] | None] = None

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shapes of what the function gives; Invalid where it cannot."""
        (first,) = self.parameters[:1]
        if not isinstance(call.get(first), call.kind):
            detail = f"{first} must be a tensor; it is {call.get(first)!r:.80}."
            raise Invalid(detail, pointer=calls(at))
        return (self.output(call.one.shape, at),)

    def held(self, call: Call[Any]) -> int:  # noqa: ARG002  every layer is asked in the same way
        """Return none."""
        return 0


def calls(at: str) -> str:
    """Return where a layer's calls stand."""
    return f"{at}/inbound_nodes"


def full(argument: Any, kind: type[Any], at: str) -> Full:  # noqa: ANN401  a tensor, a number, or nested lists
    """Return the full shape of a tensor, a number or a nested list; Invalid where it is none."""
    if isinstance(argument, kind):
        return (None, *argument.shape)
    if isinstance(argument, list):
        inner = {full(each, kind, at) for each in argument}
        if len(inner) > 1 or any(isinstance(each, kind) for each in argument):
            detail = "A constant is a number or nested lists of as many numbers each."
            raise Invalid(detail, pointer=at)
        return (len(argument), *(next(iter(inner)) if inner else ()))
    if not isinstance(argument, int | float):
        detail = f"A tensor, a number or a list of numbers is expected; there is {argument!r:.80}."
        raise Invalid(detail, pointer=at)
    return ()


def constant(argument: Any, at: str) -> tuple[int, ...]:  # noqa: ANN401  what the file holds
    """Return the shape of a number or of nested lists of numbers; Invalid where it is neither."""
    return tuple(size or 0 for size in full(argument, _Nothing, at))


class _Nothing:
    """The kind that no tensor has."""


def spread(arguments: Iterable[Any], kind: type[Any], at: str) -> Shape:
    """Return the shape, without the batch's axis, to which arguments are stretched; Invalid where they do not fit."""
    listed = list(arguments)
    shapes = [full(each, kind, at) for each in listed]
    rank = max(map(len, shapes))
    for argument, shape in zip(listed, shapes, strict=True):
        tensor = isinstance(argument, kind)
        if (tensor and len(shape) < rank) or (not tensor and len(shape) == rank and shape[0] != 1):
            detail = f"The shapes {shown(shapes)} would mix samples, whose axis is the first."
            raise Invalid(detail, pointer=at)
    aligned = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_stretched(sizes, shapes, at) for sizes in zip(*(each[1:] for each in aligned), strict=True))


def _stretched(sizes: Sequence[int | None], shapes: Sequence[Full], at: str) -> int | None:
    known = {size for size in sizes if size not in (None, 1)}
    if len(known) > 1:
        detail = f"The shapes {shown(shapes)} cannot be stretched to one."
        raise Invalid(detail, pointer=at)
    return next(iter(known), None if None in sizes else 1)


def shown(shapes: Iterable[Full]) -> str:
    """Return shapes as Keras prints them."""
    return " and ".join(str(shape) for shape in shapes)
