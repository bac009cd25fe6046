"""A report as a person or a machine wants to read it.

A new format is one module here that registers a `Format`.  Every string in a report may come from a hostile file: a
module escapes what its format escapes, and `service.present.words.plain` takes control characters away.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from service.contract.gate import GateResult
from service.contract.problem import NotAcceptable
from service.contract.report import Report
from service.registry import Registry


class Render(Protocol):
    """Writes a report."""

    def __call__(self, report: Report, gate: GateResult | None, source: str = "") -> str:
        """Write `report` and, where there is one, the gate's verdict over it; `source` is the model's path at home."""
        ...


class Format(NamedTuple):
    """One way to write a report."""

    name: str
    media_type: str
    render: Render
    headers: Mapping[str, str] = MappingProxyType({})
    """What goes with it over HTTP."""


formats: Registry[Format] = Registry(__name__)
"""The formats, by name."""


def add(format: Format) -> None:  # noqa: A002  the word of the contract
    """Register a format under its name."""
    formats.add(format.name, format)


def choose(name: str | None, accept: str | None) -> Format:
    """Return the format called `name`, else the best that `accept` (an HTTP header) takes; NotAcceptable if none."""
    if name is not None:
        if name in formats:
            return formats[name]
        msg = f"There is no format {name[:40]!r}; the formats are {', '.join(formats)}."
        raise NotAcceptable(msg)
    if accept is None or not accept.strip():
        return formats["json"]
    ranked = sorted(_wanted(accept), key=lambda one: -one[0])
    for quality, media_range in ranked:
        for one in sorted(formats.values(), key=lambda one: one.name != "json"):
            if quality > 0 and _matches(media_range, one.media_type):
                return one
    msg = f"None of {accept[:200]!r} is written here; the formats are {', '.join(formats)}."
    raise NotAcceptable(msg)


def _wanted(accept: str) -> list[tuple[float, str]]:
    found = []
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((_number(piece[2:]) for piece in parameters if piece.startswith("q=")), 1.0)
        found.append((quality, media_range))
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _matches(media_range: str, media_type: str) -> bool:
    plain = media_type.partition(";")[0]
    return media_range in {"*/*", plain, plain.partition("/")[0] + "/*"}
