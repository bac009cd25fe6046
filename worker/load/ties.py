"""Weights that were one in the module, and that an exporter wrote twice: made one again.

Folding replaces what a node computes from a weight by a tensor of its own.  A head that shares its weight with an
embedding becomes a transposed copy of the table; a learnt token becomes one copy per sample of a fixed batch.  Equal
values alone are no tie: layers that start as copies of each other train apart.  So a copy counts as one only where the
exporter made the tensor up, or where it is an embedding's table and a head's weight.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from worker.load.provenance import Provenance
from worker.network.graph import Graph, Node, Parameter

HEADS = frozenset({"FusedMatMul", "Gemm", "MatMul"})
TABLES = frozenset({"Gather"})
NOTED = 3
"""Most ties that a note names."""


@dataclass(frozen=True)
class _Tie:
    """A tensor that is another, turned or repeated."""

    copy: str
    source: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]
    parameters: Mapping[str, Parameter]


def tied(graph: Graph, known: Provenance) -> Graph:
    """Return the graph in which copies of a weight are made from the weight itself, with a note."""
    said = []
    tables, heads = _read_by(graph, TABLES), _read_by(graph, HEADS)
    for name in tuple(graph.parameters):
        if name in known.named:
            continue
        tie = _turned(graph, name, {*known.named, *(tables if name in heads else ())}) or _repeated(graph, name, known)
        if tie is not None:
            said.append(f"{tie.copy!r} is {tie.source!r}" if tie.source in graph.parameters else repr(tie.copy))
            graph = _with(graph, tie)
    if not said:
        return graph
    more = f" and {len(said) - NOTED} more" if len(said) > NOTED else ""
    note = (
        f"The exporter wrote copies of weights that the model shares or repeats ({', '.join(said[:NOTED])}{more}): "
        "they are examined as one parameter each, as they train. "
    )
    return graph.replace(notes=(*graph.notes, note.strip()))


def _turned(graph: Graph, name: str, possible: AbstractSet[str]) -> _Tie | None:
    """Return the tie of a matrix to the one weight, among those possible, that it is a transposed copy of."""
    value = graph.parameters[name].value
    if value.dim() != 2 or _even(value):  # noqa: PLR2004
        return None
    sources = [
        each
        for each in possible & graph.parameters.keys() - {name}
        if graph.parameters[each].value.shape == value.shape[::-1]
    ]
    same = [each for each in sources if torch.equal(graph.parameters[each].value, value.T)]
    if len(same) != 1:
        return None
    node = Node("Transpose", (same[0],), (name,), graph.fresh(f"{name}_tied"), {"perm": (1, 0)})
    return _Tie(name, same[0], (node,), {}, {})


def _read_by(graph: Graph, operators: frozenset[str]) -> frozenset[str]:
    """Return the names that these operators read."""
    return frozenset(name for node in graph.nodes if node.op in operators for name in node.inputs)


def _repeated(graph: Graph, name: str, known: Provenance) -> _Tie | None:
    """Return the tie of a tensor, made up by torch's exporter, that repeats itself for each sample of a fixed batch."""
    value, batch = graph.parameters[name].value, _batch(graph)
    axis = next((axis for axis, size in enumerate(value.shape) if size == batch and _repeats(value, axis)), None)
    if not known.torch or batch is None or axis is None or _even(value):
        return None
    once = value.narrow(axis, 0, 1)
    same = [each for each in known.named & graph.parameters.keys() if _equal(graph.parameters[each].value, once)]
    shape, wide, turned = (graph.fresh(f"{name}_{role}") for role in ("sizes", "expanded", "once_shaped"))
    sizes = {f"{shape}_once": torch.tensor(once.shape), shape: torch.tensor(value.shape)}
    source = same[0] if len(same) == 1 else graph.fresh(f"{name}_once")
    nodes = (
        Node("Reshape", (source, f"{shape}_once"), (turned,), turned),
        Node("Expand", (turned, shape), (name,), wide),
    )
    added = {} if len(same) == 1 else {source: replace(graph.parameters[name], value=once.clone())}
    return _Tie(name, source, nodes, sizes, added)


def _equal(value: Tensor, once: Tensor) -> bool:
    return value.numel() == once.numel() and torch.equal(value.reshape(-1), once.reshape(-1))


def _repeats(value: Tensor, axis: int) -> bool:
    first = value.narrow(axis, 0, 1)
    return bool((value == first).all())


def _even(value: Tensor) -> bool:
    """Whether all numbers are the same, so that equality tells nothing."""
    return not value.numel() or bool((value == value.reshape(-1)[0]).all())


def _batch(graph: Graph) -> int | None:
    """Return the one fixed size of all inputs' first axes, if it is more than one sample."""
    sizes = {given.shape[0] if given.shape else None for given in graph.inputs}
    size = next(iter(sizes)) if len(sizes) == 1 else None
    return size if isinstance(size, int) and size > 1 else None


def _with(graph: Graph, tie: _Tie) -> Graph:
    kept = {name: each for name, each in graph.parameters.items() if name != tie.copy}
    return graph.replace(
        nodes=(*tie.nodes, *graph.nodes),
        parameters={**kept, **tie.parameters},
        constants={**graph.constants, **tie.constants},
    )
