"""JSON without its traps: no NaN, no number beyond a double, no key twice, no bottomless nesting."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from service.contract import traps
from service.contract.problem import Invalid, Malformed
from service.problems import invalid

Model = TypeVar("Model", bound=BaseModel)

MOST_NESTED = 128
"""Deepest nesting that is read."""
MOST_OPENED = 2**21
"""Most lists and objects that are read."""
MOST_SIGNS = 20_000
"""Most commas and opening brackets of a document with a schema."""


def read(content: bytes, what: str) -> Any:  # noqa: ANN401  JSON is any of six types
    """Return the JSON value in `content`; Malformed, naming `what`, where it is none or holds a trap."""
    if (opened := content.count(b"[") + content.count(b"{")) > MOST_OPENED:
        msg = f"{what} holds {opened} opening brackets; the limit is {MOST_OPENED}."
        raise Malformed(msg, pointer="")
    try:
        value = orjson.loads(content)
        json.loads(
            content, object_pairs_hook=_without_twins, parse_float=bool, parse_int=bool
        )  # keys are all it is for
    except orjson.JSONDecodeError as error:
        raise _flawed(content, f"{what} is not JSON", f"{error}.") from error
    except Invalid as error:
        raise _flawed(content, f"{what} is ambiguous", error.detail) from error
    except (ValueError, RecursionError) as error:
        msg = f"{what} is nested deeper than can be read, or holds a number with too many digits."
        raise Malformed(msg) from error
    if _deeper(value, MOST_NESTED):
        msg = f"{what} is nested deeper than {MOST_NESTED} levels."
        raise Malformed(msg)
    return value


def _flawed(content: bytes, what: str, why: str) -> Malformed:
    """Return the refusal of content that holds a trap, with its place where that can be told."""
    found = traps.flaw(content)
    return Malformed(f"{what}: {found.detail if found else why}", pointer=found.pointer if found else None)


def fit(model: type[Model], value: Any, what: str, within: str = "") -> Model:  # noqa: ANN401  what `read` returns
    """Return `value` as a `model`; Invalid, with the pointer of the first complaint below `within`, otherwise."""
    written = orjson.dumps(value)
    if (signs := sum(written.count(sign) for sign in (b",", b"[", b"{"))) > MOST_SIGNS:
        msg = f"The number of commas and opening brackets in {what.lower()} is {signs}; the limit is {MOST_SIGNS}."
        raise Invalid(msg, pointer=within)
    try:
        return model.model_validate_json(written)
    except ValidationError as error:
        raise invalid(error, within, what) from error


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            msg = f"the key {key[:80]!r} is there twice in one object."
            raise Invalid(msg)
        seen.add(key)


def _deeper(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [child for one in layer for child in _children(one)]
        if not layer:
            return False
    return True


def _children(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return [child for child in value.values() if isinstance(child, dict | list)]
    if isinstance(value, list):
        return [child for child in value if isinstance(child, dict | list)]
    return ()
