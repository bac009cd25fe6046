"""Values brought to zero mean and unit deviation by constants."""

from typing import Final

from torch import Tensor

from worker.network.edit import insert_behind
from worker.network.graph import Graph, Node

_FLAT: Final = 1e-6
"""Deviation of a column, by its largest magnitude, up to which it does not vary."""


def standardized(graph: Graph, name: str, mean: Tensor, deviation: Tensor) -> Graph:
    """Return the graph in which everything that read `name` reads (name - mean) / deviation.

    Both are numbers, or hold one for each of the last axis; for more than a number the opset must broadcast.
    """
    middle, scale = graph.fresh(f"{name}.mean"), graph.fresh(f"{name}.deviation")

    def make(value: str, fresh: str) -> tuple[Node, ...]:
        return (
            Node("Sub", (value, middle), (f"{fresh}.centred",), f"{fresh}.centre"),
            Node("Div", (f"{fresh}.centred", scale), (fresh,), f"{fresh}.scale"),
        )

    return insert_behind(graph.replace(constants={**graph.constants, middle: mean, scale: deviation}), name, make)


def columns(value: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column [..., columns] over what is finite; 0 for a flat one's."""
    rows = value.flatten(0, -2)
    finite = rows.isfinite()
    count = finite.sum(0).clamp_min(1)
    known = rows.double().where(finite, 0.0)
    mean = known.sum(0) / count
    deviation = ((known - mean).where(finite, 0.0).square().sum(0) / count).sqrt()
    return mean, deviation.where(deviation > _FLAT * known.abs().amax(0), 0.0)
