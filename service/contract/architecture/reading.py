"""Bytes to `Architecture`: whatever is wrong ends in a problem that says what and where."""

import json
from typing import Any

from pydantic import ValidationError

from service.contract.architecture.document import MOST_LAYERS, Architecture
from service.contract.complaint import place, said, shown
from service.contract.problem import Invalid, TooComplex, Trouble
from service.contract.traps import read

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
        detail = f"The description is {shown(document)}; it must be an object."
        raise Invalid(detail, pointer="")
    if "gradgate" not in document:
        detail = (
            'The file has neither "gradgate": "1", as our descriptions, nor a "class_name" with its "config", as what '
            "Keras's model.to_json() prints."
        )
        raise Invalid(detail, pointer="/gradgate")


def _first(error: ValidationError, document: Any) -> Trouble:  # noqa: ANN401  a JSON document can be anything
    details = error.errors(include_url=False)[0]
    return Invalid(said(details), pointer=place(details, document))
