"""Statistics of each place on the way forward, and of the loss's gradient there."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Final

import torch
from torch import Tensor

from worker.network import layers
from worker.network.graph import Node
from worker.network.layers import NONLINEAR, PLAIN
from worker.probe.evidence import Activation, Gradient, PlaceEvidence
from worker.probe.moments import Moments, Norm, moments, norms, read
from worker.probe.path import WEIGHTED, Path
from worker.probe.slopes import gates
from worker.probe.sweep import Sweep
from worker.probe.units import STEEP, STEEPEST, measure_units, saturation

ACTIVATIONS: Final = NONLINEAR | {"Softmax", "LogSoftmax"}
NORMS: Final = layers.NORMS | {"LRN", "SimplifiedLayerNormalization", "SkipLayerNormalization"}
JOINS: Final = frozenset({"Add", "Sum", "Concat", "Mul"})


def places(path: Path) -> Iterator[tuple[Node, str]]:
    """Yield each node worth a row, with the value that it writes: weights, activations, norms, joins of branches."""
    for node in path.nodes:
        joins = node.op in JOINS and len([value for value in node.inputs if value in path.members]) > 1
        if path.is_layer(node) or node.op in ACTIVATIONS | NORMS or joins:
            yield node, next(value for value in node.outputs if value in path.members)


def measure_places(sweep: Sweep) -> tuple[PlaceEvidence, ...]:
    """Return the evidence of every place, in forward order."""
    path = sweep.path
    chosen = list(places(path))
    forward = moments({value: sweep.values[value] for _, value in chosen})
    backward = norms(sweep.gradients(value for _, value in chosen))
    largest = max((each.norm for each in backward.values() if isfinite(each.norm)), default=0.0)
    saturated, units, resting = _saturated(sweep, chosen), measure_units(sweep), {*gates(path), *_given(path)}
    return tuple(
        PlaceEvidence(
            node=node.name,
            op=node.op,
            depth=path.depth[value],
            shape=tuple(sweep.values[value].shape),
            activation=_activation(forward[value], *saturated.get(node.name, ())),
            gradient=_gradient(backward.get(value), largest),
            parameter=next(iter(path.weights[node.name]), None) if node.op in WEIGHTED | NORMS else None,
            origin=node.origin,
            units=units.get(node.name),
            gate=value in resting,
        )
        for node, value in chosen
    )


def _given(path: Path) -> Iterator[str]:
    """Yield the output, and what is only moved or cast on its way there."""
    value, node = path.output, path.producers.get(path.output)
    yield value
    while node is not None and node.op in PLAIN:
        value = node.inputs[0]
        node = path.producers.get(value)
        yield value


def _activation(taken: Moments, *saturated: float) -> Activation:
    return Activation(taken.mean, taken.std, taken.rms, taken.zero, taken.nonfinite, *saturated)


def _gradient(taken: Norm | None, largest: float) -> Gradient | None:
    if taken is None:
        return None
    return Gradient(taken.rms, taken.norm / largest if largest > 0 else 0.0, taken.nonfinite)


def _saturated(sweep: Sweep, chosen: Sequence[tuple[Node, str]]) -> dict[str, tuple[float, float, float]]:
    """Return, per activation with two flat ends, what share of it is saturated, of its units, and its slope's power."""
    taken = {
        node.name: (*shares, _slope(node, sweep, value))
        for node, value in chosen
        if node.op in STEEP and node.inputs[0] in sweep.path.members
        if (shares := saturation(node, sweep.values[node.inputs[0]], _axis(sweep, node.inputs[0]))) is not None
    }
    numbers = read([scalar for scalars in taken.values() for scalar in scalars])
    return {name: (*numbers[3 * at : 3 * at + 3],) for at, name in enumerate(taken)}  # type: ignore[misc]


def _slope(node: Node, sweep: Sweep, value: str) -> Tensor:
    """Return E[φ'²] by the largest φ'²."""
    after, before = sweep.values[value], sweep.values[node.inputs[0]]
    (slope,) = torch.autograd.grad(after, before, torch.ones_like(after), retain_graph=True)
    return (slope / STEEPEST[node.op]).square().mean()


def _axis(sweep: Sweep, value: str) -> int:
    return sweep.path.feature_axis(value, sweep.values[value].dim()) if sweep.values[value].dim() else 0
