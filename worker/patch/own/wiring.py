"""Layers put in and taken out of the project's own format, in chains and in graphs of nodes."""

from collections.abc import Iterator
from typing import Any

from worker.patch.edits import Drop, Edit, Insert, Put, at
from worker.patch.places import NoWay, Steps


def inserted_behind(document: Any, steps: Steps, layer: dict[str, Any]) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that put a layer behind the one at these steps."""
    after = (*steps[:-1], int(steps[-1]) + 1)
    if steps[-2] != "nodes":
        yield Insert(after, layer)
        return
    name = at(document, steps)["name"]
    holder = at(document, steps[:-2])
    fresh = _fresh(holder, f"{name}_{layer['kind']}")
    yield Insert(after, {"kind": layer["kind"], "name": fresh, "inputs": [name], **layer})
    yield from _renamed(holder, steps[:-2], name, fresh)


def inserted_at_input(document: Any, given: str, layer: dict[str, Any]) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that put a layer behind an input of the network."""
    if "nodes" not in document:
        yield Insert(("layers", 0), layer)
        return
    fresh = _fresh(document, f"{given}_{layer['kind']}")
    yield Insert(("nodes", 0), {"kind": layer["kind"], "name": fresh, "inputs": [given], **layer})
    yield from _renamed(document, (), given, fresh)


def left_out(document: Any, steps: Steps) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that take the layer at these steps out."""
    held = at(document, steps[:-1])
    if len(held) == 1:
        message = "The layer is the only one of its list."
        raise NoWay(message, steps)
    yield Drop(steps)
    if steps[-2] != "nodes":
        return
    layer, index = held[int(steps[-1])], int(steps[-1])
    before = layer["inputs"][0] if "inputs" in layer else held[index - 1]["name"]
    yield from _renamed(at(document, steps[:-2]), steps[:-2], layer["name"], before)


def _renamed(holder: Any, steps: Steps, name: str, other: str) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits by which whoever reads `name` reads `other`.

    A node that says no inputs reads the one before it; where that is `other` already, nothing needs saying.
    """
    for index, node in enumerate(holder["nodes"]):
        yield from _listed(node, (*steps, "nodes", index, "inputs"), name, other)
    yield from _listed(holder, (*steps, "outputs"), name, other)
    if holder.get("gives") == name:
        yield Put((*steps, "gives"), other)


def _listed(holder: Any, steps: Steps, name: str, other: str) -> Iterator[Edit]:  # noqa: ANN401  JSON
    for place, read in enumerate(holder.get(steps[-1], ())):
        if read == name:
            yield Put((*steps, place), other)


def _fresh(holder: Any, stem: str) -> str:  # noqa: ANN401  JSON
    taken = {node.get("name") for node in holder["nodes"]} | {*holder.get("inputs", ())} | {*holder.get("takes", ())}
    taken.add(holder.get("input", {}).get("name"))
    return next(name for count in range(len(taken) + 1) if (name := f"{stem}_{count}" if count else stem) not in taken)
