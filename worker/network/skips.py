"""Skips put into a graph: sums of what a branch makes and what it reads."""

from collections.abc import Iterable
from typing import NamedTuple

from worker.network.edit import insert_behind
from worker.network.graph import Graph, Node


class Skip(NamedTuple):
    """A way past a branch, between two values of one shape."""

    start: str
    end: str
    origin: str | None = None
    """The layer that the sum belongs to."""


def with_skips(graph: Graph, skips: Iterable[Skip]) -> Graph:
    """Return the graph with sums behind the ends of branches, given in forward order.

    A skip that starts where an earlier one ends takes the sum there.
    """
    now: dict[str, str] = {}
    for skip in skips:
        graph = _with_skip(graph, skip, now)
    return graph


def _with_skip(graph: Graph, skip: Skip, now: dict[str, str]) -> Graph:
    past = now.get(skip.start, skip.start)

    def make(branch: str, fresh: str) -> tuple[Node, ...]:
        now[branch] = fresh
        return (Node("Add", (past, branch), (fresh,), f"{fresh}.skip", origin=skip.origin),)

    return insert_behind(graph, skip.end, make)
