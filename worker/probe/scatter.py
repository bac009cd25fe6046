"""How far the gain scatters from draw to draw of the weights, for the widths and the activations that it runs through.

The variance of G over redraws is Σ κ/n over the fronts (Hanin and Nica 2018, arXiv 1812.05994), in nats².  No pass.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from worker.probe.fronts import Front, between
from worker.probe.slopes import LINEAR, Slopes, gates
from worker.probe.sweep import Sweep


def scatter(sweep: Sweep, found: Sequence[Front], gains: Sequence[float], slopes: Mapping[str, Slopes]) -> float:
    """Return √Σ κ/n over the fronts: κ of the activations within, n the features of the newest tensor.

    A window of k positions, whose weights are drawn apart, counts as √k times the features.  Where a branch is added
    to a skip, only the branch scatters: its part of the gain is 1 − e⁻ᵍ.
    """
    path, parts = sweep.path, []
    chain = frozenset(path.cuts()).union(gates(path))
    for (start, end), gain in zip(pairwise(found), gains, strict=True):
        values = between(path, start, end)
        kurtosis = max((slopes[value].kurtosis for value in values if value in slopes), default=LINEAR)
        part = 1.0 if chain.issuperset(values) else 1 - math.exp(-min(abs(gain), 1e3))
        parts.append(part**2 * kurtosis / max(_width(sweep, end.newest) * math.sqrt(_window(sweep, values)), 1))
    return math.sqrt(sum(parts))


def _window(sweep: Sweep, values: Sequence[str]) -> int:
    """Return the positions that the largest window of the convolutions among these values spans."""
    nodes = (sweep.path.producers[value] for value in values if value in sweep.path.producers)
    kernels = (sweep.values.get(node.inputs[1]) for node in nodes if node.op in {"Conv", "ConvTranspose"})
    return max((math.prod(kernel.shape[2:]) for kernel in kernels if kernel is not None), default=1)


def _width(sweep: Sweep, value: str) -> int:
    tensor = sweep.values[value]
    return tensor.shape[sweep.path.feature_axis(value, tensor.dim())] if tensor.dim() else 1
