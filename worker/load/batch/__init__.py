"""A batch file, or none, to the tensors that a graph takes.

`reading` turns the file's bytes into named arrays, `archive`, `document` do so for one format each; `matching` finds
each input's array by name, `fitting` casts and checks it; `drawing` makes a batch where no file is given.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from worker.load.batch.drawing import drawn
from worker.load.batch.fitting import cast, fitted, targeted
from worker.load.batch.matching import matched
from worker.load.batch.reading import arrays
from worker.network.graph import Graph
from worker.subject import Batch


def read(batch: Path | None, graph: Graph, *, seed: int, size: int | None = None) -> Batch:
    """Return the batch in a file, or, without one, a batch of `size` samples drawn under `seed`.

    UnreadableBatch where the file does not parse, BatchMismatch where its arrays are not what the graph takes.
    """
    if batch is None:
        return drawn(graph, seed=seed, size=size)
    with batch.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return fit(arrays(batch), graph, sha256)


def fit(given: Mapping[str, Tensor], graph: Graph, sha256: str | None = None) -> Batch:
    """Return named arrays as a batch of this graph; BatchMismatch where they do not fit."""
    named, target = matched(given, graph.inputs)
    notes: list[str] = []
    inputs = {each.name: cast(named[each.name], each, notes) for each in graph.inputs}
    size = fitted(inputs, graph.inputs)
    return Batch(inputs, targeted(target, size), sha256=sha256, notes=tuple(notes))
