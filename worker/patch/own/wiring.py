"""Layers put in and taken out of the project's own format, in chains and in graphs of nodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from worker.patch.difference import Joined
from worker.patch.edits import Drop, Edit, Insert, Put, Wrap, at
from worker.patch.places import NoWay, Place, Steps
from worker.patch.survey import Survey, Times, Uneven


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


def joined(document: Any, steps: Steps, survey: Survey) -> Iterator[Edit]:  # noqa: ANN401  JSON
    """Yield the edits that add values from before to what the layer at these steps gives."""
    pasts = [
        (times, survey.place_of(each.past), each) for times, one in survey.wanted[steps].items() for each in one.joined
    ]
    if not pasts:
        return
    if "nodes" in steps[-2:]:
        yield from (edit for _, past, each in pasts for edit in _summed(document, steps, past, each))
        return
    held, last = steps[:-1], int(steps[-1])
    found = {_behind(document, held, times, past, survey) for times, past, _ in pasts}
    first = found.pop()
    if found or first is None or first > last:
        raise Spread([steps, *(past.steps for _, past, _ in pasts if past)])
    yield Wrap((*held, first), last - first + 1, {"kind": "residual"})


class Spread(Uneven):
    """What a skip leads around stands in several lists of the document, or in several times of one."""

    def __init__(self, places: Sequence[Steps]) -> None:
        """Say so of layers at these places: the one where the skip ends, then those where it starts."""
        super().__init__("A skip leads around layers of which some stand in another list.", places[0])
        self.places = places


def _behind(document: Any, held: Steps, times: Times, past: Place | None, survey: Survey) -> int | None:  # noqa: ANN401
    """Return which layer of a list reads a place first, at these times; None where none of it does."""
    if past is not None and past.steps[: len(held)] == held and past.times[: len(times)] == times:
        index = int(past.steps[len(held)])
        return index + 1 if _Past(past, survey).ends((*held, index), times) else None
    return 0 if _enters(document, held, times, _Past(past, survey)) else None


@dataclass(frozen=True)
class _Past:
    """Where a value is made: in a layer, or nowhere, which is an input."""

    place: Place | None
    survey: Survey

    def ends(self, steps: Steps, times: Times) -> bool:
        """Whether it is what the layer at these steps gives, at these times, and its own last ones."""
        if self.place is None or self.place.steps[: len(steps)] != steps:
            return False
        every = [each for each in self.survey.times[self.place.steps] if each[: len(times)] == times]
        return bool(every) and self.place.times == max(every)


def _enters(document: Any, held: Steps, times: Times, past: _Past) -> bool:  # noqa: ANN401  JSON
    """Whether what a list of layers reads, at these times of the repetitions around it, is a value from before."""
    if len(held) == 1:
        return past.place is None
    holder = held[:-1]
    repeats = at(document, holder)["kind"] == "repeat"
    if repeats and times[-1]:
        return past.ends((*held, len(at(document, held)) - 1), (*times[:-1], times[-1] - 1))
    around, index = holder[:-1], holder[-1]
    if not isinstance(index, int) or around[-1] != "layers":
        return False
    outer = times[:-1] if repeats else times
    return past.ends((*around, index - 1), outer) if index else _enters(document, around, outer, past)


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
