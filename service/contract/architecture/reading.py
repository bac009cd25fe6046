"""Bytes to `Architecture`: whatever is wrong ends in a problem that says what and where."""

import json
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.contract.architecture.document import MOST_LAYERS, Architecture
from service.contract.problem import Invalid, TooComplex, Trouble
from service.contract.traps import read, step

__all__ = ["fitted", "parse", "read"]

MOST_KINDS = MOST_LAYERS + 1
"""Most objects with a kind: layers, and the clipping."""


def parse(text: bytes) -> Architecture:
    """Return the architecture that `text` (JSON, UTF-8) describes, checked.

    UnreadableModel where it is no JSON, Invalid (with a JSON pointer) where it breaks the schema or its shapes do not
    fit, TooLarge or TooComplex over a limit.
    """
    return fitted(read(text))


def fitted(document: Any) -> Architecture:  # noqa: ANN401  a JSON document can be anything
    """Return the architecture that a JSON document describes, checked; as `parse`."""
    _ours(document)
    written = json.dumps(document)
    if (named := written.count('"kind": ')) > MOST_KINDS:
        detail = f"The description names {named} layers; the limit is {MOST_LAYERS}."
        raise TooComplex(detail, pointer="")
    try:
        architecture = Architecture.model_validate_json(written, strict=True)
    except ValidationError as error:
        raise _first(error, document) from None
    return architecture.checked()


def _ours(document: Any) -> None:  # noqa: ANN401  a JSON document can be anything
    if not isinstance(document, dict):
        detail = f"The description is {_kind(document)}; it must be an object."
        raise Invalid(detail, pointer="")
    if "gradgate" not in document:
        detail = 'The description has no "gradgate": "1", the version of the format.'
        raise Invalid(detail, pointer="/gradgate")


def _first(error: ValidationError, document: Any) -> Trouble:  # noqa: ANN401  a JSON document can be anything
    details = error.errors(include_url=False)[0]
    return Invalid(_said(details), pointer=_pointer(details, document))


def _said(details: ErrorDetails) -> str:
    context, last = details.get("ctx", {}), str(details["loc"][-1]) if details["loc"] else ""
    match details["type"]:
        case "union_tag_invalid":
            return _unknown(context["discriminator"].strip("'"), context["tag"], context["expected_tags"])
        case "union_tag_not_found":
            return f"The object does not say its {context['discriminator']}."
        case "missing":
            return f"The field {last!r} is missing."
        case "extra_forbidden":
            return f"The field {last!r:.80} is not known here."
        case "too_long":
            return f"There are {context['actual_length']} entries; the limit is {context['max_length']}."
    return f"{details['msg'].removeprefix('Value error, ')}; it is {_kind(details.get('input'))}."


def _unknown(key: str, tag: str, listed: str) -> str:
    """Say that no layer or law has this name, which is nearest, and which there are."""
    near = get_close_matches(tag[:40], [word.strip(" '") for word in listed.split(",")], 1)
    meant = f"; did you mean {near[0]!r}?" if near else ";"
    return f"There is no {key} {tag!r:.80}{meant} there are {listed}."


def _kind(value: Any) -> str:  # noqa: ANN401  a JSON value can be anything
    """Return a value as a message shows it: cut where it is long, named where it holds others."""
    if isinstance(value, dict | list):
        return f"an object of {len(value)} fields" if isinstance(value, dict) else f"a list of {len(value)}"
    shown = value[:80] if isinstance(value, str) else value
    return f"{json.dumps(shown, ensure_ascii=False):.80}"


def _pointer(details: ErrorDetails, document: Any) -> str:  # noqa: ANN401  a JSON document can be anything
    """Return where the error is; pydantic's own steps through unions, which the document has not, are left out."""
    pointer, value = "", document
    for each in details["loc"]:
        if (isinstance(value, dict) and each in value) or (isinstance(value, list) and isinstance(each, int)):
            value = value[each]  # type: ignore[index]
            pointer += step(each)
    if details["type"] == "missing":
        return f"{pointer}/{details['loc'][-1]}"
    key = str(details.get("ctx", {}).get("discriminator", "")).strip("'")
    return f"{pointer}/{key}" if key and isinstance(value, dict) else pointer
