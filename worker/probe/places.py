"""Statistics of each place on the way forward, and of the loss's gradient there."""

from collections.abc import Iterator, Mapping
from typing import Final

from torch import Tensor

from worker.network import layers
from worker.network.graph import Node
from worker.network.layers import NONLINEAR
from worker.probe.evidence import Activation, Gradient, PlaceEvidence, Units
from worker.probe.path import WEIGHTED, Path
from worker.probe.sweep import Sweep
from worker.probe.units import RECTIFIERS, dead_units, saturation

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
    gradients = sweep.gradients([value for _, value in chosen])
    norms = {value: float(gradient.double().norm()) for value, gradient in gradients.items()}
    largest = max((norm for norm in norms.values() if norm == norm), default=0.0)  # noqa: PLR0124  NaN differs from itself
    return tuple(
        PlaceEvidence(
            node=node.name,
            op=node.op,
            depth=path.depth[value],
            shape=tuple(sweep.values[value].shape),
            activation=_activation(node, path, sweep.values),
            gradient=_gradient(gradients.get(value), largest),
            parameter=next(iter(path.weights[node.name]), None) if node.op in WEIGHTED | NORMS else None,
            origin=node.origin,
            units=_units(node, path, sweep.values),
        )
        for node, value in chosen
    )


def _activation(node: Node, path: Path, values: Mapping[str, Tensor]) -> Activation:
    value = values[next(name for name in node.outputs if name in path.members)].detach().double()
    finite = value[value.isfinite()]
    return Activation(
        mean=float(finite.mean()) if finite.numel() else 0.0,
        std=float(finite.std(correction=0)) if finite.numel() else 0.0,
        rms=float(finite.square().mean().sqrt()) if finite.numel() else 0.0,
        zero=float((value == 0).double().mean()),
        nonfinite=1 - finite.numel() / max(value.numel(), 1),
        saturated=saturation(node, values[node.inputs[0]].detach()) if node.inputs[0] in path.members else None,
    )


def _gradient(gradient: Tensor | None, largest: float) -> Gradient | None:
    if gradient is None:
        return None
    value = gradient.detach().double()
    finite = value[value.isfinite()]
    norm = float(finite.norm())
    return Gradient(
        rms=norm / max(finite.numel(), 1) ** 0.5,
        relative=norm / largest if largest > 0 else 0.0,
        nonfinite=1 - finite.numel() / max(value.numel(), 1),
    )


def _units(node: Node, path: Path, values: Mapping[str, Tensor]) -> Units | None:
    if node.op not in RECTIFIERS or node.inputs[0] not in path.members:
        return None
    before = values[node.inputs[0]]
    if before.dim() < 2 or (node.op == "Clip" and not _flat_at_zero(node, path, values)):  # noqa: PLR2004
        return None
    return dead_units(before, path.feature_axis(node.inputs[0], before.dim()))


def _flat_at_zero(node: Node, path: Path, values: Mapping[str, Tensor]) -> bool:
    """Whether a Clip is a rectifier (ReLU6): its lower limit is zero."""
    low = node.attributes.get("min")
    if len(node.inputs) > 1 and node.inputs[1]:
        limit = values.get(node.inputs[1], path.graph.constants.get(node.inputs[1]))
        low = None if limit is None else float(limit)
    return isinstance(low, int | float) and low == 0
