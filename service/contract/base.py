"""What every model of the contract shares: it is frozen, refuses unknown keys, and never holds NaN on the wire."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Contract(BaseModel):
    """A frozen part of the contract; a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _spell(value: float) -> float | str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def _read(value: Any) -> Any:  # noqa: ANN401  pydantic hands over whatever the caller sent
    return _WORDS.get(value, value) if isinstance(value, str) else value


Number = Annotated[
    float,
    BeforeValidator(_read),
    PlainSerializer(_spell, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}]}),
]
"""A float whose JSON form is a number, or the string "nan", "inf" or "-inf"."""
