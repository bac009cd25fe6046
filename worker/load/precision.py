"""Files in another precision than float32, in which all are examined.

Files in half precision are examined in float32: gradients are measured where rounding does not hide them.  So are
files in float64: networks train in float32 or less, and what that hides is part of what is looked for.
"""

import torch

from worker.network.graph import Graph
from worker.network.retype import retyped

HALF = frozenset({torch.float16, torch.bfloat16})
NARROWED = "The file computes in float64, and is examined in float32, as networks train."
WIDENED = "The file holds {} numbers; it is examined in float32."


def in_single(graph: Graph) -> Graph:
    """Return the graph in float32, with a note of what it was in; itself where it is in float32 already."""
    return widened(_narrowed(graph))


def _narrowed(graph: Graph) -> Graph:
    """Return the graph with float32 in place of float64 where inputs or parameters are in that.

    A float64 constant alone is left: exporters compute shapes with it, which must round as in the file.
    """
    kinds = {each.dtype for each in graph.inputs} | {each.value.dtype for each in graph.parameters.values()}
    if torch.float64 not in kinds:
        return graph
    return retyped(graph, {torch.float64}, torch.float32).replace(notes=(*graph.notes, NARROWED))


def widened(graph: Graph) -> Graph:
    """Return the graph with float32 in place of float16 and bfloat16, and a note; itself where it has none."""
    kinds = {each.dtype for each in graph.constants.values()} | {each.dtype for each in graph.inputs}
    kinds = (kinds | {each.value.dtype for each in graph.parameters.values()}) & HALF
    if not kinds:
        return graph
    names = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
    wide = retyped(graph, HALF, torch.float32)
    return wide.replace(notes=(*graph.notes, WIDENED.format(names)))


def is_widened(graph: Graph) -> bool:
    """Whether the file that a graph comes from computes in another precision."""
    return any(note == NARROWED or note.endswith(WIDENED.partition("{}")[2]) for note in graph.notes)
