"""Edits of a JSON document, written as RFC 6902 operations."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from worker.patch.places import NoWay, Steps

Operation: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Put:
    """Gives a field a value, whether it is there or not, or exchanges an element of a list."""

    steps: Steps
    value: Any


@dataclass(frozen=True)
class Drop:
    """Takes a field or an element away."""

    steps: Steps


@dataclass(frozen=True)
class Insert:
    """Puts an element into a list, before the one that stands at these steps."""

    steps: Steps
    value: Any


@dataclass(frozen=True)
class Wrap:
    """Moves elements of a list, the first of which stands at these steps, into the `layers` of another."""

    steps: Steps
    count: int
    value: Mapping[str, Any]


Edit: TypeAlias = Put | Drop | Insert | Wrap
"""One edit; its steps are those of the document as it is before all of them."""


def operations(document: Any, edits: Iterable[Edit]) -> list[Operation]:  # noqa: ANN401  a JSON document can be anything
    """Return the operations that make all edits, from the document's end to its start, so that no index shifts."""
    ordered = sorted(enumerate(edits), key=lambda each: (*_rank(each[1]), each[0]), reverse=True)
    return [made for _, edit in ordered for made in _operations(document, edit)]


def _rank(edit: Edit) -> tuple[list[tuple[bool, Any]], bool]:
    """Return where an edit stands in the document; an insertion comes before what stands there."""
    return [(isinstance(step, str), step) for step in edit.steps], not isinstance(edit, Insert | Wrap)


def _operations(document: Any, edit: Edit) -> Iterator[Operation]:  # noqa: ANN401  a JSON document can be anything
    path = pointer(edit.steps)
    if isinstance(edit, Drop):
        yield {"op": "remove", "path": path}
        return
    replaces = isinstance(edit, Put) and _held(document, edit.steps)
    value = {**edit.value, "layers": []} if isinstance(edit, Wrap) else edit.value
    yield {"op": "replace" if replaces else "add", "path": path, "value": value}
    if isinstance(edit, Wrap):
        behind = pointer((*edit.steps[:-1], int(edit.steps[-1]) + 1))
        yield from ({"op": "move", "from": behind, "path": f"{path}/layers/-"} for _ in range(edit.count))


def _held(document: Any, steps: Steps) -> bool:  # noqa: ANN401  a JSON document can be anything
    held = at(document, steps[:-1])
    return isinstance(held, list) or steps[-1] in held


def at(document: Any, steps: Steps) -> Any:  # noqa: ANN401  a JSON document can be anything
    """Return what stands at these steps; NoWay where the document only implies it."""
    for step in steps:
        known = document if isinstance(document, dict) else range(len(document) if isinstance(document, list) else 0)
        if step not in known:
            message = f"The uploaded file does not hold {pointer(steps)}; it only implies it."
            raise NoWay(message)
        document = document[step]
    return document


def pointer(steps: Steps) -> str:
    """Return the steps as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
