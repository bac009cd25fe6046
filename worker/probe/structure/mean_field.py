"""What mean-field theory expects of a plain network, from the variances of its weights alone.

q ← σ_w² E[φ(√q z)²] + σ_b² from layer to layer, and ln χ₁ = ln(σ_w² E[φ'(√q z)²]) is what each adds to the gradient's
gain (Poole et al. 2016; Schoenholz et al. 2017, arXiv 1611.01232).  σ_w² is the mean square of a kernel times its
fan-in, σ_b² that of its bias.  Only for networks without norms and skips, where every layer is a cut; no pass.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from worker.criticality import critical
from worker.network.fans import fans
from worker.network.graph import Graph
from worker.network.layers import Layer
from worker.probe.evidence import MeanField
from worker.probe.norms import normed
from worker.probe.path import RECURRENT
from worker.probe.structure.gaussian import expectation, shape_of
from worker.probe.sweep import Sweep

_FEWEST: Final = 3
"""Layers, the first and the head among them, without which there is nothing between two."""
_OTHERS: Final = frozenset({"Attention", "MultiHeadAttention", "Scan", "Loop", "If"})


class _Step(NamedTuple):
    layer: Layer
    weights: float
    gain: float


def predict(sweep: Sweep, layers: Sequence[Layer]) -> MeanField | None:
    """Return the gain that theory expects between the first layer and the head; None where it has nothing to say."""
    if len(layers) < _FEWEST or not _plain(sweep, layers):
        return None
    steps = _steps(sweep, layers)
    if not steps:
        return None
    worst = max(steps, key=lambda step: abs(step.gain))
    before = worst.layer.before
    wanted = critical(before, sweep.subject.graph)
    return MeanField(
        layers=len(steps),
        predicted=sum(step.gain for step in steps),
        node=worst.layer.node.name,
        activation=before.op if before is not None else "",
        variance=worst.weights,
        critical=wanted.weights if wanted.attained else None,
        origin=worst.layer.node.origin,
    )


def _plain(sweep: Sweep, layers: Sequence[Layer]) -> bool:
    """Whether the network is one layer behind the other, with nothing that sets the scale anew."""
    path, cuts = sweep.path, set(sweep.path.cuts())
    others = RECURRENT | _OTHERS
    mixing = {layer.node.name for layer in layers}
    return (
        not normed(path)
        and not any(node.op in others for node in path.nodes)
        and all(layer.node.outputs[0] in cuts for layer in layers)
        and all(node.name in mixing for node in path.nodes if path.is_layer(node))
    )


def _steps(sweep: Sweep, layers: Sequence[Layer]) -> list[_Step]:
    """Return the gain of each layer between the first and the head; none where an activation is not known."""
    graph = sweep.subject.graph
    entering = sweep.values[layers[0].node.inputs[0]].detach().double()
    length = float(entering.square().mean())
    steps: list[_Step] = []
    for index, layer in enumerate(layers[:-1]):
        weights, biases = _variances(graph, layer)
        shape = shape_of(layer.before)
        if shape is None or not weights > 0 or not math.isfinite(weights):
            return []
        if index:
            root = math.sqrt(length)
            slope = expectation(lambda z, s=shape, r=root: s(r * z)[1].square())  # type: ignore[misc]
            length = expectation(lambda z, s=shape, r=root: s(r * z)[0].square())  # type: ignore[misc]
            steps.append(_Step(layer, weights, math.log(max(weights * slope, 1e-300))))
        length = weights * length + biases
        if not math.isfinite(length):
            return []
    return steps


def _variances(graph: Graph, layer: Layer) -> tuple[float, float]:
    """Return the variance of the weights times the fan-in, and that of the biases."""
    kernel = graph.parameters[layer.kernel].value
    fan = fans(tuple(kernel.shape), layer.node.op, transposed=layer.transposed).into
    bias = graph.parameters.get(layer.bias or "")
    return _mean_square(kernel) * fan, _mean_square(bias.value) if bias is not None else 0.0


def _mean_square(value: Tensor) -> float:
    return float(torch.linalg.vector_norm(value)) ** 2 / max(value.numel(), 1)
