"""Bytes to `Architecture`: whatever is wrong ends in a problem that says what and where."""

import json
from math import isfinite
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.contract.architecture.document import Architecture
from service.contract.problem import Invalid, TooComplex, TooLarge, Trouble, UnreadableModel

MOST_BYTES = 4 * 2**20
MOST_DIGITS = 18
DEEPEST = 64
"""Most brackets within each other; sixteen nested layers take about forty."""


def parse(text: bytes) -> Architecture:
    """Return the architecture that `text` (JSON, UTF-8) describes, checked.

    UnreadableModel where it is no JSON, Invalid (with a JSON pointer) where it breaks the schema or its shapes do not
    fit, TooLarge or TooComplex over a limit.
    """
    return fitted(read(text))


def fitted(document: Any) -> Architecture:  # noqa: ANN401  a JSON document can be anything
    """Return the architecture that a JSON document describes, checked; as `parse`."""
    _ours(document)
    try:
        architecture = Architecture.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise _first(error, document) from None
    return architecture.checked()


def read(text: bytes) -> Any:  # noqa: ANN401  a JSON document can be anything
    """Return the JSON document in `text`, without duplicate keys, NaN, infinities or endless numbers and brackets."""
    if len(text) > MOST_BYTES:
        detail = f"The description has {len(text)} bytes; the limit is {MOST_BYTES}."
        raise TooLarge(detail)
    try:
        document = json.loads(
            text.decode("utf-8-sig"),
            object_pairs_hook=_distinct,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_real,
        )
    except (ValueError, RecursionError) as error:
        reason = "its brackets are nested too deep" if isinstance(error, RecursionError) else str(error)
        detail = f"The description is not JSON: {reason}."
        raise UnreadableModel(detail) from None
    _shallow(document)
    return document


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        keys = [key for key, _ in pairs]
        detail = f"The key {next(key for key in keys if keys.count(key) > 1)!r:.100} stands twice in one object."
        raise Invalid(detail)
    return document


def _constant(word: str) -> NoReturn:
    detail = f"{word} is not a number of JSON."
    raise Invalid(detail)


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        detail = f"A number has {len(digits)} digits; the limit is {MOST_DIGITS}."
        raise Invalid(detail)
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        detail = f"The number {digits:.40} is too large."
        raise Invalid(detail)
    return value


def _shallow(document: Any) -> None:  # noqa: ANN401  a JSON document can be anything
    level, depth = [document], 0
    while level := [inner for value in level for inner in _inside(value)]:
        depth += 1
        if depth > DEEPEST:
            detail = f"The description's brackets are nested more than {DEEPEST} deep."
            raise TooComplex(detail)


def _inside(value: Any) -> list[Any]:  # noqa: ANN401  a JSON document can be anything
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _ours(document: Any) -> None:  # noqa: ANN401  a JSON document can be anything
    if not isinstance(document, dict):
        detail = f"The description is a JSON {type(document).__name__}; it must be an object."
        raise Invalid(detail, pointer="")
    if "gradgate" not in document:
        detail = 'The description has no "gradgate": "1", the version of the format.'
        raise Invalid(detail, pointer="/gradgate")


def _first(error: ValidationError, document: Any) -> Trouble:  # noqa: ANN401  a JSON document can be anything
    details = error.errors(include_url=False)[0]
    return Invalid(_said(details), pointer=_pointer(details, document))


def _said(details: ErrorDetails) -> str:
    context, given = details.get("ctx", {}), details.get("input")
    if details["type"] == "union_tag_invalid":
        key, tag = context["discriminator"].strip("'"), context["tag"]
        return f"There is no {key} {tag!r:.80}; there are {context['expected_tags']}."
    if details["type"] == "union_tag_not_found":
        return f"The object does not say its {context['discriminator']}."
    if details["type"] == "missing":
        return f"The field {str(details['loc'][-1])!r} is missing."
    if details["type"] == "extra_forbidden":
        return f"The field {str(details['loc'][-1])!r:.80} is not known here."
    shown = "" if isinstance(given, dict | list) else f"; it is {given!r:.80}"
    return f"{details['msg']}{shown}."


def _pointer(details: ErrorDetails, document: Any) -> str:  # noqa: ANN401  a JSON document can be anything
    """Return where the error is; pydantic's own steps through unions, which the document has not, are left out."""
    pointer, value = "", document
    for step in details["loc"]:
        if (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int)):
            value = value[step]  # type: ignore[index]
            pointer += "/" + str(step).replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{details['loc'][-1]}" if details["type"] == "missing" else pointer
