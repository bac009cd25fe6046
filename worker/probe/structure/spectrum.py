"""Whether weights are as drawn, or have been trained: no random law gives a matrix one direction far beyond all others.

The singular values of an m × n matrix of independent numbers of variance s² end at s(√m + √n) (Marchenko and Pastur
1967), those of orthogonal ones at s·√max(m, n); training adds directions beyond that (Martin and Mahoney 2021,
arXiv 1810.01075).  Large kernels are judged by a corner of theirs.  Cost: 16 products with a matrix of 512 × 512 at
most, for some sixteen kernels.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch

from worker.network.graph import Graph
from worker.network.layers import Layer
from worker.probe.structure.kernels import unit_rows

STEPS: Final = 16
BEYOND: Final = 1.2
"""Times the edge; Gaussian matrices of 16 rows or more stay under 1.15 of it."""
CORNER: Final = 512
"""Rows and columns that are looked at."""
LOOKED_AT: Final = 16
"""Kernels that are looked at, spread over the network."""
_SMALLEST: Final = 16
"""Rows and columns under which an edge means little."""


def trained(graph: Graph, layers: Sequence[Layer]) -> bool:
    """Whether a kernel that came with values, and is large enough to tell, has a direction beyond the edge."""
    given = [layer for layer in layers if graph.parameters[layer.kernel].law is None]
    spread = given[:: len(given) // LOOKED_AT + 1]
    return any((edge_ratio(graph, layer) or 0.0) > BEYOND for layer in spread)


def edge_ratio(graph: Graph, layer: Layer) -> float | None:
    """Return a kernel's largest singular value by the edge of random ones; None where it is too small to tell."""
    rows = unit_rows(graph.parameters[layer.kernel].value.detach(), layer)[:CORNER, :CORNER].float().contiguous()
    scale = float(rows.square().mean().sqrt())
    if min(rows.shape) < _SMALLEST or not math.isfinite(scale) or scale == 0:
        return None
    vector = torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(0)).to(rows.device)
    largest = 0.0
    for _ in range(STEPS):
        vector = rows.T @ (rows @ (vector / vector.norm()))
        largest = math.sqrt(float(vector.norm()))
    return largest / (scale * (math.sqrt(rows.shape[0]) + math.sqrt(rows.shape[1])))
