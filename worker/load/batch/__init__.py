"""A batch file, or none, to the tensors that a graph takes.

`reading` turns the file's bytes into named arrays, `archive`, `document` do so for one format each; `matching` finds
each input's array by name, `fitting` casts and checks it; `drawing` makes a batch where no file is given.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from worker.load.batch.drawing import drawn
from worker.load.batch.fitting import cast, fitted, targeted, turned
from worker.load.batch.matching import matched
from worker.load.batch.reading import arrays
from worker.network.graph import Graph
from worker.subject import Batch


def read(batch: Path | None, graph: Graph, *, seed: int, size: int | None = None) -> Batch:
    """Return the batch in a file, or, without one, a batch of `size` samples drawn under `seed`.

    UnreadableBatch where the file does not parse, BatchMismatch where its arrays are not what the graph takes.
    """
    return drawn(graph, seed=seed, size=size) if batch is None else fit(*opened(batch), graph)


def opened(batch: Path) -> tuple[Mapping[str, Tensor], str]:
    """Return a file's arrays by name, and its digest; UnreadableBatch where it does not parse."""
    with batch.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return arrays(batch), sha256


def shapes(given: Mapping[str, Tensor], graph: Graph) -> dict[str, tuple[int, ...]]:
    """Return the shapes of named arrays by the inputs that they are for; BatchMismatch where one is missing."""
    return {name: tuple(value.shape) for name, value in matched(given, graph.inputs, [])[0].items()}


def ranked(given: Mapping[str, Tensor], graph: Graph) -> Graph:
    """Return the graph with as many free axes as the batch has where the file declares no shape."""
    if all(each.ranked for each in graph.inputs):
        return graph
    axes = {name: len(shape) for name, shape in shapes(given, graph).items()}
    inputs = (
        each if each.ranked else replace(each, shape=("?",) * axes[each.name], ranked=True) for each in graph.inputs
    )
    return graph.replace(inputs=tuple(inputs))


def fit(given: Mapping[str, Tensor], sha256: str | None, graph: Graph) -> Batch:
    """Return named arrays as a batch of this graph; BatchMismatch where they do not fit."""
    notes: list[str] = []
    named, target = matched(given, graph.inputs, notes)
    inputs = {each.name: cast(named[each.name], each, notes) for each in graph.inputs}
    size = fitted(inputs, graph.inputs)
    notes += turned(graph.inputs)
    return Batch(inputs, targeted(target, size), sha256=sha256, notes=tuple(notes))
