"""JSON without its traps: no key twice, no NaN, no endless numbers, lists or brackets.  A refusal says where."""

import json
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, NamedTuple

from service.contract.problem import Invalid, TooComplex, TooLarge, Trouble, UnreadableModel

MOST_BYTES = 4 * 2**20
MOST_SIGNS = 300_000
"""Most commas and opening brackets, which are counted before anything is read; Keras writes about one in 15 bytes."""
MOST_ENTRIES = 10_000
"""Most entries of one list or object."""
MOST_DIGITS = 18
DEEPEST = 64
"""Most brackets within each other; sixteen nested layers take about forty."""
LONGEST_STEP = 200
"""Longest key that a pointer repeats; it stops at the object otherwise."""

_HALF = re.compile("[\ud800-\udfff]")


class _Flaw(NamedTuple):
    """Stands in a document where a value is that nobody can mean."""

    detail: str
    step: str = ""
    """What the flaw's pointer has behind the value's."""
    kind: type[Trouble] = Invalid


def read(text: bytes) -> Any:  # noqa: ANN401  a JSON document can be anything
    """Return the JSON document in `text` (UTF-8).

    UnreadableModel where it is none, Invalid where it holds a trap, TooLarge or TooComplex over a limit, with a
    pointer to what is at fault.
    """
    document = _loaded(text)
    if trouble := _searched(document):
        raise trouble
    return document


def flaw(text: bytes) -> Trouble | None:
    """Return what is wrong with the first value that nobody can mean; None where there is none, or no telling."""
    try:
        places = _places(_loaded(text))
    except Trouble:
        return None
    found = (_complaint(value, pointer, 0) for pointer, _, value in places)
    return next((trouble for trouble in found if isinstance(trouble, Invalid)), None)


def step(key: object) -> str:
    """Return a JSON pointer's step to `key`; nothing where the key is too long, or no text, to be repeated."""
    written = str(key).replace("~", "~0").replace("/", "~1")
    return "" if len(written) > LONGEST_STEP or _HALF.search(written) else f"/{written}"


def _loaded(text: bytes) -> Any:  # noqa: ANN401  a JSON document can be anything
    """Return the document in `text`, with a flaw wherever a trap is."""
    _counted(text)
    try:
        return json.loads(
            _decoded(text), object_pairs_hook=_distinct, parse_constant=_constant, parse_int=_whole, parse_float=_real
        )
    except RecursionError:
        detail = f"The description's brackets are nested more than {DEEPEST} deep."
        raise TooComplex(detail, pointer="") from None
    except ValueError as error:
        detail = f"The description is not JSON: {error}."
        raise UnreadableModel(detail) from None


def _counted(text: bytes) -> None:
    if len(text) > MOST_BYTES:
        detail = f"The description has {len(text)} bytes; the limit is {MOST_BYTES}."
        raise TooLarge(detail, pointer="")
    signs = sum(text.count(sign) for sign in (b",", b"[", b"{"))
    if signs > MOST_SIGNS:
        detail = f"The description holds {signs} commas and opening brackets; the limit is {MOST_SIGNS}."
        raise TooComplex(detail, pointer="")


def _decoded(text: bytes) -> str:
    encoding = json.detect_encoding(text)
    if not encoding.startswith("utf-8"):
        detail = f"The description is not JSON: it looks like {encoding.upper()}, and JSON is UTF-8."
        raise UnreadableModel(detail)
    return text.decode(encoding)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Flaw:
    if len(pairs) > MOST_ENTRIES:
        return _Flaw(_crowded("object", len(pairs)), kind=TooComplex)
    document = dict(pairs)
    if len(document) == len(pairs):
        return document
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return _Flaw(f"The key {key!r:.100} stands twice in one object.", step(key))


def _crowded(kind: str, entries: int) -> str:
    return f"The {kind} has {entries} entries; the limit is {MOST_ENTRIES}."


def _constant(word: str) -> _Flaw:
    return _Flaw(f"{word} is not a number of JSON.")


def _whole(digits: str) -> int | _Flaw:
    if len(digits) > MOST_DIGITS:
        return _Flaw(f"A number has {len(digits)} digits; the limit is {MOST_DIGITS}.")
    return int(digits)


def _real(digits: str) -> float | _Flaw:
    value = float(digits)
    return value if isfinite(value) else _Flaw(f"The number {digits:.40} is too large.")


def _searched(document: Any) -> Trouble | None:  # noqa: ANN401  a JSON document can be anything
    """Return the first complaint about a value of the document, with its pointer; None if there is none."""
    if not any(_complaint(value, "", depth) for depth, level in enumerate(_levels(document)) for value in level):
        return None
    return next(found for pointer, depth, value in _places(document) if (found := _complaint(value, pointer, depth)))


def _levels(document: Any) -> Iterator[list[Any]]:  # noqa: ANN401  a JSON document can be anything
    """Yield the values that stand within 0, 1, … others."""
    level = [document]
    while level:
        yield level
        level = [inner for value in level for _, inner in _inside(value)]


def _places(document: Any) -> Iterator[tuple[str, int, Any]]:  # noqa: ANN401  a JSON document can be anything
    """Yield every value with its pointer and depth, in the order of the text."""
    waiting = [("", 0, document)]
    while waiting:
        pointer, depth, value = waiting.pop()
        yield pointer, depth, value
        inside = [(pointer + step(key), depth + 1, inner) for key, inner in _inside(value)]
        waiting.extend(reversed(inside))


def _inside(value: Any) -> Any:  # noqa: ANN401  pairs of a key or an index and a value
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _complaint(value: Any, pointer: str, depth: int) -> Trouble | None:  # noqa: ANN401  a JSON value can be anything
    """Return what is wrong with a value, what stands in it aside."""
    if isinstance(value, _Flaw):
        return value.kind(value.detail, pointer=pointer + value.step)
    if isinstance(value, dict | list):
        return _bulk(value, pointer, depth)
    if isinstance(value, str) and not value.isascii() and _HALF.search(value):
        return Invalid("The text holds half of a surrogate pair, which is no character.", pointer=pointer)
    return None


def _bulk(value: dict[str, Any] | list[Any], pointer: str, depth: int) -> Trouble | None:
    if depth >= DEEPEST:
        return TooComplex(f"The description's brackets are nested more than {DEEPEST} deep.", pointer=pointer)
    if len(value) > MOST_ENTRIES:
        return TooComplex(_crowded("list", len(value)), pointer=pointer)
    if isinstance(value, dict) and any(not key.isascii() and _HALF.search(key) for key in value):
        return Invalid("A key holds half of a surrogate pair, which is no character.", pointer=pointer)
    return None
