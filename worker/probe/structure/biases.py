"""Biases that a norm right behind them takes away: batch and instance norms subtract every channel's mean."""

from collections.abc import Sequence
from typing import Final

from service.contract.words import Mode
from worker.network.graph import Node
from worker.network.layers import Layer
from worker.probe.evidence import Spot
from worker.probe.sweep import Sweep

_MOVING: Final = frozenset({"Identity", "Transpose", "Cast"})
"""What may stand between without a channel becoming another."""


def biased(sweep: Sweep, layers: Sequence[Layer]) -> tuple[Spot, ...]:
    """Return the weight layers whose trainable bias the next operator, a norm over its own channels, takes away."""
    centring = {"InstanceNormalization"} | ({"BatchNormalization"} if sweep.subject.mode is Mode.TRAIN else set())
    graph, producers = sweep.subject.graph, sweep.subject.graph.producers()
    found = []
    for layer in layers:
        bias = graph.parameters.get(layer.bias or "")
        if bias is None or not bias.trainable or layer.norm is None or layer.norm.op not in centring:
            continue
        if _direct(producers, layer):
            found.append(Spot(layer.node.name, layer.node.op, layer.node.origin, bias.value.numel(), layer.norm.name))
    return tuple(found)


def _direct(producers: dict[str, Node], layer: Layer) -> bool:
    """Whether the norm reads the layer's output as it is."""
    value = layer.norm.inputs[0] if layer.norm else ""
    while value != layer.output and value in producers and producers[value].op in _MOVING:
        value = producers[value].inputs[0]
    return value == layer.output
