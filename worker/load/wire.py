"""Counting what a model file holds before a protobuf parser spends a hundred times its size on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from service.contract.problem import TooComplex, UnreadableModel

Message: TypeAlias = Mapping[int, Union["Message", None]]
"""The fields worth entering, by number."""

DEEPEST = 100
"""Levels of nesting at which protobuf's own parser stops."""
FIELDS_PER_ELEMENT = 60
"""Most fields per allowed node: a node has about ten, and an attribute full of strings has more."""
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

_TENSOR: dict[int, Message | None] = {6: None, 13: {}, 16: {}}
_SPARSE: dict[int, Message | None] = {1: _TENSOR, 2: _TENSOR}
_TYPE: dict[int, Message | None] = {}
_TYPE.update({1: {2: {1: {}}}, 4: {1: _TYPE}, 5: {2: _TYPE}, 8: {2: {1: {}}}, 9: {1: _TYPE}})
_VALUE: dict[int, Message | None] = {2: _TYPE, 4: {}}
_GRAPH: dict[int, Message | None] = {}
_ATTRIBUTE: dict[int, Message | None] = {
    5: _TENSOR,
    6: _GRAPH,
    10: _TENSOR,
    11: _GRAPH,
    14: _TYPE,
    15: _TYPE,
    22: _SPARSE,
    23: _SPARSE,
}
_NODE: dict[int, Message | None] = {5: _ATTRIBUTE, 9: {}}
_GRAPH.update({1: _NODE, 5: _TENSOR, 11: _VALUE, 12: _VALUE, 13: _VALUE, 14: {2: {}}, 15: _SPARSE, 16: {}})
_FUNCTION: dict[int, Message | None] = {7: _NODE, 11: _ATTRIBUTE, 12: _VALUE, 9: {}, 14: {}}
_MODEL: dict[int, Message | None] = {7: _GRAPH, 25: _FUNCTION, 8: {}, 14: {}, 20: {}}

_ELEMENTS = {(id(_GRAPH), 1), (id(_GRAPH), 5), (id(_GRAPH), 15), (id(_FUNCTION), 7), (id(_MODEL), 25)}
"""The fields that count as elements: nodes, initialisers and functions."""


@dataclass
class Count:
    """What a scan has seen so far, and how much it may see."""

    limit: int
    elements: int = 0
    fields: int = field(default=0)

    def add(self, *, element: bool) -> None:
        """Count one field; TooComplex above a limit."""
        self.fields += 1
        self.elements += element
        if self.elements > self.limit:
            msg = f"The model holds more than {self.limit} nodes, tensors and functions, which is the limit."
            raise TooComplex(msg)
        if self.fields > self.limit * FIELDS_PER_ELEMENT:
            msg = f"The model's file holds more than {self.limit * FIELDS_PER_ELEMENT} fields, which is the limit."
            raise TooComplex(msg)


def count(data: memoryview, limit: int) -> Count:
    """Count the nodes, initialisers and functions of an ONNX file, those of subgraphs included.

    TooComplex above `limit`, or where fields are many beyond reason; UnreadableModel where the bytes are no protobuf.
    """
    found = Count(limit)
    _scan(data, (0, len(data)), _MODEL, found, 0)
    return found


def _scan(data: memoryview, span: tuple[int, int], message: Message, found: Count, depth: int) -> None:
    if depth > DEEPEST:
        msg = f"The model's file is nested more than {DEEPEST} levels deep, which is the limit."
        raise TooComplex(msg)
    for number, begin, stop in _fields(data, *span):
        found.add(element=(id(message), number) in _ELEMENTS)
        inner = message.get(number)
        if inner is not None and begin < stop:
            _scan(data, (begin, stop), inner, found, depth + 1)


def _fields(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end of each length-delimited field; the others hold little and are passed over."""
    while at < end:
        key, at = _varint(data, at, end)
        kind = key & 7
        if kind == LENGTH:
            length, at = _varint(data, at, end)
            if length > end - at:
                raise _unreadable(at)
            yield key >> 3, at, at + length
            at += length
        elif kind == VARINT:
            _, at = _varint(data, at, end)
        elif kind in {FIXED64, FIXED32}:
            at += 8 if kind == FIXED64 else 4
        else:
            raise _unreadable(at)
    if at > end:
        raise _unreadable(at)


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004  the bit that says that another byte follows
            return value, at
        shift += 7
        if shift > 63:  # noqa: PLR2004  a varint holds 64 bits
            break
    raise _unreadable(at)


def _unreadable(at: int) -> UnreadableModel:
    return UnreadableModel(f"The file is not an ONNX model: byte {at} does not parse as protobuf.")
