"""What a schema complains about, in words and with a JSON pointer."""

import json
from difflib import get_close_matches
from typing import Any, Final

from pydantic_core import ErrorDetails

from service.contract.traps import step

OTHERWISE: Final = {
    "attention": "self_attention", "fc": "dense", "linear": "dense", "maxpool": "max_pool2d",
    "multi_head_attention": "self_attention", "multihead_attention": "self_attention", "sequential": "block",
    "swish": "silu",
}  # fmt: skip
"""What kinds are called elsewhere, where the nearest spelling would mislead."""


def said(details: ErrorDetails) -> str:
    """Return what a schema's first complaint says, with the value at fault."""
    context, last = details.get("ctx", {}), str(details["loc"][-1]) if details["loc"] else ""
    match details["type"]:
        case "union_tag_invalid":
            return _unknown(context["discriminator"].strip("'"), context["tag"], context["expected_tags"])
        case "union_tag_not_found":
            return f"The object does not say its {context['discriminator']}."
        case "missing":
            return f"The field {last!r} is missing{_instead(last, details.get('input'))}"
        case "extra_forbidden":
            return f"The field {last!r:.80} is not known here."
        case "too_short" | "too_long":
            most, least = (context.get(key) for key in ("max_length", "min_length"))
            limit = f"at least {least} are needed" if most is None else f"the limit is {most}"
            return f"There are {context['actual_length']} entries; {limit}."
    return f"{details['msg'].removeprefix('Value error, ')}; it is {shown(details.get('input'))}."


def _unknown(key: str, tag: str, listed: str) -> str:
    """Say that no layer or law has this name, which is nearest, and which there are."""
    words = [word.strip(" '") for word in listed.split(",")]
    near = [OTHERWISE[tag]] if OTHERWISE.get(tag) in words else get_close_matches(tag[:40].lower(), words, 1)
    meant = f"; did you mean {near[0]!r}? There" if near else "; there"
    return f"There is no {key} {tag!r:.80}{meant} are {listed}."


def _instead(field: str, given: Any) -> str:  # noqa: ANN401  a JSON value can be anything
    """Return the end of a sentence about a missing field: which one may have been meant for it."""
    near = get_close_matches(field, [key[:40] for key in given], 1) if isinstance(given, dict) else []
    return f"; was it meant by {near[0]!r}?" if near else "."


def shown(value: Any) -> str:  # noqa: ANN401  a JSON value can be anything
    """Return a value as a message shows it: cut where it is long, named where it holds others."""
    if isinstance(value, dict | list):
        return f"an object of {len(value)} fields" if isinstance(value, dict) else f"a list of {len(value)}"
    cut = value[:80] if isinstance(value, str) else value
    return f"{json.dumps(cut, ensure_ascii=False):.80}"


def place(details: ErrorDetails, document: Any) -> str:  # noqa: ANN401  a JSON document can be anything
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
