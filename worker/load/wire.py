"""A model file without its large numbers, cut down before a protobuf parser spends a hundred times its size on it.

The file is walked once, as bytes.  What is counted here is refused early; what nobody reads (documentation, types of
inner values, metadata but the model's own and what `provenance` reads) is left out; and the numbers of a large tensor
stay where they are: the tensor says, as one with external data does, at which bytes of the model's own file they lie.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, Union

from google.protobuf.descriptor import Descriptor, FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto

from service.contract.problem import TooComplex, UnreadableModel
from worker.load.external import undeclared
from worker.load.provenance import KEYS

Message: TypeAlias = Mapping[int, Union["Message", None]]
"""The fields that are kept, by key (number and wire type); those that hold messages, with the fields of these."""
Parts: TypeAlias = list[memoryview | bytes]


_Field: TypeAlias = tuple[int, int, int, int]
"""A field of a message: its key, and where it, its content and the next one begin."""

SELF: Final = "\0"
"""The name by which a tensor's numbers are found in the model's own file.  No file can be named so."""
LARGE: Final = 4096
"""Bytes from which on a tensor's numbers stay where they are."""
LARGEST: Final = 256 * 2**20
"""Most bytes of a file beside the numbers of its large tensors."""
DEEPEST: Final = 100
"""Levels of nesting at which protobuf's own parser stops."""
FIELDS_PER_ELEMENT: Final = 30
"""Most fields per allowed node, tensor and function: exported files have nine to twenty-three."""
MESSAGES_PER_ELEMENT: Final = 10
"""Most fields among them that are messages, of which files have two to six: each costs a parser a hundred bytes."""
LISTED_PER_ELEMENT: Final = 1024
"""Most bytes of an entry of metadata, per allowed node, tensor and function: torch lists a tensor in 40 to 250."""
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MORE, LONGEST = 128, 10
"""A number is written seven bits to a byte; a bit says that more follow.  Ten bytes hold 64 bits."""

_UNREAD: Final = frozenset(
    {"configuration", "device_configurations", "doc_string", "metadata_props", "quantization_annotation"}
    | {"segment", "training_info", "value_info"}
)
_KEPT: Final[Mapping[str, frozenset[str]]] = {
    "onnx.ModelProto": frozenset({"doc_string", "metadata_props"}),
    "onnx.GraphProto": frozenset({"metadata_props"}),
    "onnx.NodeProto": frozenset({"metadata_props"}),
}
"""What is kept of those: what the model says of itself, which a treated model says again, and of others some keys."""
_WIRE: Final[Mapping[int, int]] = {
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FLOAT: FIXED32,
    FieldDescriptor.TYPE_STRING: LENGTH,
    FieldDescriptor.TYPE_BYTES: LENGTH,
    FieldDescriptor.TYPE_MESSAGE: LENGTH,
}
"""How a field is written; as a varint where it is not said here."""
_ELEMENTS: Final = frozenset({"node", "initializer", "sparse_initializer", "functions"})


def _key(number: int, wire: int) -> int:
    return number << 3 | wire


def _message(descriptor: Descriptor, known: dict[str, dict[int, Message | None]]) -> Message:
    """Return the fields of a kind of message that are kept, each under every key that the parser takes it by."""
    if descriptor.full_name not in known:
        fields = known[descriptor.full_name] = {}
        for each in descriptor.fields:
            if each.name not in _UNREAD or each.name in _KEPT.get(descriptor.full_name, ()):
                wire = _WIRE.get(each.type, VARINT)
                inner = _message(each.message_type, known) if each.message_type else None
                fields[_key(each.number, wire)] = inner
                if each.is_repeated:  # numbers may be packed into one field
                    fields[_key(each.number, LENGTH)] = inner
    return known[descriptor.full_name]


_KNOWN: Final[dict[str, dict[int, Message | None]]] = {}
_MODEL: Final = _message(ModelProto.DESCRIPTOR, _KNOWN)
_TENSOR: Final = _KNOWN["onnx.TensorProto"]
_COUNTED: Final = frozenset(
    (id(_KNOWN[kind.full_name]), _key(each.number, LENGTH))
    for kind in (ModelProto.DESCRIPTOR, GraphProto.DESCRIPTOR, FunctionProto.DESCRIPTOR)
    for each in kind.fields
    if each.name in _ELEMENTS
)
_SAID: Final = frozenset(
    (id(_KNOWN[kind.full_name]), _key(kind.fields_by_name["metadata_props"].number, LENGTH))
    for kind in (GraphProto.DESCRIPTOR, NodeProto.DESCRIPTOR)
)
_READ: Final = tuple(StringStringEntryProto(key=key).SerializeToString() for key in KEYS)
"""How entries that are read begin: whoever writes protobuf writes the key before the value."""
_LONGEST_READ: Final = max(map(len, _READ))
_TYPE, _RAW = _key(TensorProto.DATA_TYPE_FIELD_NUMBER, VARINT), _key(TensorProto.RAW_DATA_FIELD_NUMBER, LENGTH)
_AS_RAW: Final[Mapping[int, int]] = {
    TensorProto.FLOAT: _key(TensorProto.FLOAT_DATA_FIELD_NUMBER, LENGTH),
    TensorProto.DOUBLE: _key(TensorProto.DOUBLE_DATA_FIELD_NUMBER, LENGTH),
}
"""Where numbers of a type may lie, packed, as they lie in raw data."""
_NUMBERS: Final = frozenset({_RAW, *_AS_RAW.values()})
_LEFT_OUT: Final[Message] = {}


def lightened(data: memoryview, limit: int, given: Container[str] = ()) -> bytes:
    """Return an ONNX file without what is not read and without the numbers of large tensors, which lie in SELF.

    TooComplex above `limit` nodes, tensors and functions (those of subgraphs included), or where fields are many
    beyond reason; UnreadableModel where the bytes are no protobuf, or where any tensor, used or not, lies in a file
    that is not among those `given`: whoever reads the file itself, as onnxruntime does, would look for it.
    """
    parts = _Walk(data, limit, given).light((0, len(data)), _MODEL, 0)
    if (size := len(data) if parts is None else _size(parts)) > LARGEST:
        msg = f"The model takes {size} bytes beside the numbers of its large tensors; the limit is {LARGEST}."
        raise TooComplex(msg)
    return bytes(data) if parts is None else b"".join(parts)


@dataclass
class _Walk:
    """A walk over a file, with what it has met so far and how much it may meet."""

    data: memoryview
    limit: int
    given: Container[str] = ()
    elements: int = 0
    messages: int = 0
    fields: int = 0

    def light(self, span: tuple[int, int], message: Message, depth: int) -> Parts | None:
        """Return what is kept of a message; None where that is all of it."""
        if depth > DEEPEST:
            msg = f"The model's file is nested more than {DEEPEST} levels deep, which is the limit."
            raise TooComplex(msg)
        cut = self._large(span) if message is _TENSOR and span[1] - span[0] >= LARGE else None
        kept: Parts = []
        start = span[0]
        for field in self._fields(*span):
            inner = message.get(field[0], _LEFT_OUT)
            if inner is None and field != cut:
                continue
            changed = self._entered(field, message, inner, depth) if inner else []
            if changed is not None:
                _, at, _, stop = field
                kept += [self.data[start:at]] if at > start else []
                kept += changed
                start = stop
        if start == span[0]:
            return None
        return [*kept, self.data[start : span[1]], *([_pointer(cut)] if cut else [])]

    def _entered(self, field: _Field, message: Message, inner: Message, depth: int) -> Parts | None:
        """Return what is kept of a field that holds a message; None where that is all of it."""
        key, _, inside, stop = field
        said = (id(message), key) in _SAID
        if said and not self._reads(inside, stop):
            return []
        self.messages += 1
        self.elements += (id(message), key) in _COUNTED
        _refuse_above(self.limit, self.elements, "nodes, tensors and functions")
        _refuse_above(self.limit * MESSAGES_PER_ELEMENT, self.messages, "messages")
        if message is _TENSOR:
            self._check(inside, stop)
        parts = None if said else self.light((inside, stop), inner, depth + 1)
        return None if parts is None else [_written(key) + _written(_size(parts)), *parts]

    def _reads(self, inside: int, stop: int) -> bool:
        """Whether an entry of metadata is one that is read; refused where it is long beyond reason."""
        if not self.data[inside : min(inside + _LONGEST_READ, stop)].tobytes().startswith(_READ):
            return False
        _refuse_above(self.limit * LISTED_PER_ELEMENT, stop - inside, "bytes in an entry of its metadata")
        return True

    def _check(self, inside: int, stop: int) -> None:
        """Refuse what a tensor says of the file that it lies in where that is not among those given."""
        try:
            said = StringStringEntryProto.FromString(self.data[inside:stop].tobytes())
        except DecodeError as error:
            raise _unreadable(inside) from error
        if said.key == "location" and said.value not in self.given:
            raise undeclared(said.value)

    def _large(self, span: tuple[int, int]) -> _Field | None:
        """Return the field that holds a tensor's numbers, if they are many and lie there as they do in memory."""
        kind, numbers = 0, dict[int, _Field]()
        for field in self._fields(*span):
            key, _, inside, stop = field
            if key == _TYPE:
                kind, _ = _varint(self.data, inside, stop)
            elif key in _NUMBERS:
                if key in numbers:
                    return None
                numbers[key] = field
        found = numbers.get(_RAW, numbers.get(_AS_RAW.get(kind, _RAW)))
        return found if found and found[3] - found[2] >= LARGE else None

    def _fields(self, at: int, end: int) -> Iterator[_Field]:
        data, most = self.data, self.limit * FIELDS_PER_ELEMENT
        while at < end:
            self.fields += 1
            if self.fields > most:
                _refuse_above(most, self.fields, "fields")
            key, inside = _varint(data, at, end)
            inside, stop = _extent(data, key & 7, inside, end)
            if stop > end:
                raise _unreadable(inside)
            yield key, at, inside, stop
            at = stop


def _extent(data: memoryview, wire: int, at: int, end: int) -> tuple[int, int]:
    """Return where a field's content begins and ends."""
    if wire == LENGTH:
        length, inside = _varint(data, at, end)
        return inside, inside + length
    if wire == VARINT:
        return at, _varint(data, at, end)[1]
    if wire in {FIXED64, FIXED32}:
        return at, at + (8 if wire == FIXED64 else 4)
    raise _unreadable(at)


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """Return a number and where it ends; nearly all of them are a byte."""
    if at < end and (byte := data[at]) < MORE:
        return byte, at + 1
    value = 0
    for shift, byte in enumerate(data[at : min(at + LONGEST, end)]):
        value |= (byte & ~MORE) << 7 * shift
        if byte < MORE:
            return value, at + shift + 1
    raise _unreadable(at)


def _written(value: int) -> bytes:
    """Return a number as a varint."""
    low, high = value & (MORE - 1), value >> 7
    return bytes([low | MORE]) + _written(high) if high else bytes([low])


def _pointer(field: _Field) -> bytes:
    """Return the fields of a tensor that say where in its own file its numbers lie."""
    _, _, inside, stop = field
    said = {"location": SELF, "offset": inside, "length": stop - inside}
    entries = [StringStringEntryProto(key=key, value=str(value)) for key, value in said.items()]
    made = TensorProto(data_location=TensorProto.EXTERNAL, external_data=entries)
    return bytes(made.SerializeToString())


def _size(parts: Parts) -> int:
    return sum(map(len, parts))


def _refuse_above(limit: int, count: int, what: str) -> None:
    if count > limit:
        msg = f"The model's file holds more than {limit} {what}, which is the limit."
        raise TooComplex(msg)


def _unreadable(at: int) -> UnreadableModel:
    return UnreadableModel(f"The file is not an ONNX model: byte {at} does not parse as protobuf.")
