"""What of a file is quantized, and what that means for its gradients."""

import re
from collections.abc import Iterator, Sequence

from worker.network.dtypes import DIFFERENTIABLE
from worker.network.graph import Graph
from worker.network.straight import pairs

WHOLE = re.compile("^QLinear|Integer|^QGemm$|^DynamicQuantize")
"""Operators that compute on whole numbers."""
SHOWN = 3
"""Names that a note lists."""


def quantized(graph: Graph) -> Iterator[str]:
    """Yield a sentence on each way in which a graph is quantized."""
    found = list(pairs(graph))
    if found:
        yield (
            f"Quantization that is undone at once ({len(found)} × QuantizeLinear and DequantizeLinear) is computed as "
            "the file says; gradients pass straight through it, as if values were only clamped to its range."
        )
    stored = _stored(graph)
    if stored:
        yield f"Weights stored as whole numbers or in eight bits and less do not train: {_listed(stored)}."
    paired = {done.name for done, _ in found}
    cutting = [node.op for node in graph.nodes if WHOLE.search(node.op)]
    cutting += [node.op for node in graph.nodes if node.op == "QuantizeLinear" and node.name not in paired]
    if cutting:
        yield (
            f"No gradient passes {_listed(sorted(set(cutting)))}, which compute on whole numbers: to examine how the "
            "network trains, send it as it was before it was quantized."
        )


def _stored(graph: Graph) -> list[str]:
    """Return the constants that are turned into real numbers, or multiplied as they are."""
    reading = [node for node in graph.nodes if node.op == "DequantizeLinear" or WHOLE.search(node.op)]
    read = {name for node in reading for name in node.inputs}
    held = {name: value for name, value in graph.constants.items() if name in read and value.dim() > 1}
    return [name for name, value in held.items() if value.dtype not in DIFFERENTIABLE]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
