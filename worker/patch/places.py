"""Where in the uploaded document a node or a parameter comes from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self, TypeAlias

from worker.network.graph import Graph
from worker.patch.alike import Likeness

Steps: TypeAlias = tuple[str | int, ...]
"""A way into a JSON document: keys and indices."""

_ORIGIN: Final = re.compile(r'(?P<pointer>\S+)(?: ".*")? \([^()]*\)(?P<times>(?:, (?:call )?\d+ of \d+)*)')


class NoWay(Exception):
    """The format cannot say a change at this place; the message is a sentence."""

    def __init__(self, sentence: str, steps: Steps = ()) -> None:
        """Say why, and at which layer."""
        super().__init__(sentence)
        self.steps = steps


class Stuck(NoWay):
    """The format can say a change once the document is written out."""


class Place(NamedTuple):
    """A layer of the document, and which time it is within each repetition around it, the outermost first.

    Keras's layers are called, so many times: their times are calls.
    """

    steps: Steps
    times: tuple[int, ...] = ()


def place(origin: str | None) -> Place | None:
    """Return the place that an origin such as `layers/3 "fc1" (dense), 2 of 10` names."""
    found = _ORIGIN.fullmatch(origin or "")
    if found is None:
        return None
    steps = tuple(int(step) if step.isdigit() else step for step in found["pointer"].split("/"))
    return Place(steps, tuple(int(time) - 1 for time in re.findall(r"(\d+) of", found["times"])))


@dataclass(frozen=True)
class Atlas:
    """The places of a graph's nodes and parameters in a document."""

    nodes: Mapping[str, Place | None]
    parameters: Mapping[str, Place | None]
    roles: Mapping[str, str]
    """What each parameter is called in the document's own lowering, such as `layers/3.kernel`."""

    @classmethod
    def of(cls, graph: Graph, likeness: Likeness) -> Self:
        """Return the places that `graph` gives to the names of the graph that it is likened to."""
        nodes = {node.name: place(node.origin) for node in graph.nodes}
        return cls(
            {name: nodes.get(other) for name, other in likeness.nodes.items()},
            {name: place(graph.parameters[other].origin) for name, other in likeness.parameters.items()},
            dict(likeness.parameters),
        )
