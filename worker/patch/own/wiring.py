"""Layers put in and taken out of the project's own format, in chains and in graphs of nodes."""

from collections.abc import Iterator, Sequence
from typing import Any

from worker.patch.difference import Joined
from worker.patch.edits import Drop, Edit, Insert, Put, Wrap, at
from worker.patch.places import NoWay, Place, Steps
from worker.patch.survey import Survey


def inserted_behind(document: Any, steps: Steps, layers: Sequence[dict[str, Any]]) -> Iterator[Edit]:  # noqa: ANN401
    """Yield the edits that put layers behind the one at these steps."""
    after = (*steps[:-1], int(steps[-1]) + 1)
    if steps[-2] != "nodes":
        yield from (Insert(after, layer) for layer in layers)
        return
    holder, name = at(document, steps[:-2]), at(document, steps)["name"]
    yield from _nodes_behind(holder, steps[:-2], after, name, layers)


def inserted_at_input(document: Any, given: str, layers: Sequence[dict[str, Any]]) -> Iterator[Edit]:  # noqa: ANN401
    """Yield the edits that put layers behind an input of the network."""
    if "nodes" not in document:
        yield from (Insert(("layers", 0), layer) for layer in layers)
        return
    yield from _nodes_behind(document, (), ("nodes", 0), given, layers)


def _nodes_behind(
    holder: Any,  # noqa: ANN401  JSON
    steps: Steps,
    after: Steps,
    name: str,
    layers: Sequence[dict[str, Any]],
) -> Iterator[Edit]:
    """Yield the edits that put nodes at `after`, and let who read `name` read the last of them."""
    taken, read = _taken(holder), name
    for layer in layers:
        fresh = _fresh(taken, f"{name}_{layer['kind']}")
        yield Insert(after, {"kind": layer["kind"], "name": fresh, "inputs": [read], **layer})
        read = fresh
    yield from _renamed(holder, steps, name, read)


def joined(document: Any, steps: Steps, one: Joined, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that add a value from before to what the layer at these steps gives."""
    past = survey.place_of(one.past)
    if "nodes" in steps[-2:]:
        yield from _summed(document, steps, past, one)
        return
    held, last = steps[:-1], int(steps[-1])
    first = int(past.steps[-1]) + 1 if past and past.steps[:-1] == held and int(past.steps[-1]) < last else 0
    yield Wrap((*held, first), last - first + 1, {"kind": "residual"})


def _summed(document: Any, steps: Steps, past: Place | None, one: Joined) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that put a sum of two nodes behind the second."""
    holder, name = at(document, steps[:-2]), at(document, steps)["name"]
    if past is not None and past.steps[:-1] != steps[:-1]:
        message = f"What is added to {name} stands in another list of nodes."
        raise NoWay(message, steps)
    other = at(document, past.steps)["name"] if past else one.past
    fresh = _fresh(_taken(holder), f"{name}_add")
    yield Insert((*steps[:-1], int(steps[-1]) + 1), {"kind": "add", "name": fresh, "inputs": [name, other]})
    yield from _renamed(holder, steps[:-2], name, fresh)


def left_out(document: Any, steps: Steps) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that take the layer at these steps out."""
    held = at(document, steps[:-1])
    layer = held[int(steps[-1])]
    if len(held) == 1:
        kept = {key: layer[key] for key in ("name", "inputs") if key in layer}
        yield Put(steps, {"kind": "identity", **kept})
        return
    yield Drop(steps)
    if steps[-2] != "nodes":
        return
    index = int(steps[-1])
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


def _taken(holder: Any) -> set[str]:  # noqa: ANN401  JSON
    """Return the names that a graph of nodes knows."""
    taken = {node.get("name") for node in holder["nodes"]} | {*holder.get("inputs", ())} | {*holder.get("takes", ())}
    return taken | {holder.get("input", {}).get("name")}


def _fresh(taken: set[str], stem: str) -> str:
    """Return a name that is not taken, and take it."""
    name = next(name for count in range(len(taken) + 1) if (name := f"{stem}_{count}" if count else stem) not in taken)
    taken.add(name)
    return name
