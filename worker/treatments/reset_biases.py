"""Biases that hold units off set to zero."""

from collections.abc import Iterator
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.graph import Graph
from worker.network.layers import Layer, weight_layers
from worker.network.scaled import zeroed
from worker.probe.evidence import Evidence, PlaceEvidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

STUCK: Final = 0.1
"""Share of units that are saturated on nearly all samples, from which a bias is suspected."""
_SCALED_BY: Final = 2
"""A shift's place among a norm's inputs."""
HINTS: Final = Hints(
    torch="""
        for layer in list(model.modules())[:-1]:
            if isinstance(getattr(layer, "bias", None), nn.Parameter):
                nn.init.zeros_(layer.bias)
    """,
    keras="""
        for layer in model.layers[:-1]:
            for weight in layer.trainable_weights:
                if weight.name in ("bias", "beta"):
                    weight.assign(0.0 * weight + 0.0)
    """,
)


@treatment(
    "reset-biases",
    TreatmentKind.INIT,
    {Symptom.DEAD_UNITS, Symptom.SATURATED_UNITS, Symptom.NO_GRADIENT, Symptom.STALLED_TRAINING},
    cost=2,
    retrains=False,
    hints=HINTS,
)
def reset_biases(subject: Subject, evidence: Evidence) -> Outcome:
    """Set the biases that hold units off to zero

    What it changes
        Before activations of which more units are off than chance explains, or a tenth is saturated on nearly all
        samples, the biases become 0: the layer's, and the shift of a norm between.  Kernels, and all other layers,
        stay.

    Why it helps
        A bias far below 0 keeps a rectifier off whatever the input, and no gradient comes back to move it; at 0 each
        unit is on for about half of the inputs.

    When it is wrong
        Where large weights or inputs far from 0 keep units off, biases are not the cause.  A trained sparse network
        loses what its biases had learnt.

    References
        Lu et al. 2019 (arXiv 1903.06733); He et al. 2015, where biases start at 0.
    """
    held = {place.node: place for place in evidence.places if _held(place)}
    layers = [layer for layer in weight_layers(subject.graph) if layer.after and layer.after.name in held]
    found = {name: layer for layer in layers for name in _biases(subject.graph, layer)}
    if not found:
        return Inapplicable("No trainable bias other than 0 stands before units that are off or saturated.")
    changed = {name: zeroed(subject.graph.parameters[name]) for name in found}
    name, first = next(iter(found.items()))
    mean = float(subject.graph.parameters[name].value.mean())
    sentence = (
        f"Set {len(found)} biases before units that are off or saturated to 0 (first: "
        f"{first.node.origin or first.node.name}, whose biases have a mean of {mean:.3g})."
    )
    graph = subject.graph.replace(parameters={**subject.graph.parameters, **changed})
    return Change(subject.replace(graph=graph), (sentence,))


def _held(place: PlaceEvidence) -> bool:
    """Whether more units of an activation are off than by chance, or many are stuck; a gate or head may be."""
    if place.gate:
        return False
    off = place.units is not None and (place.units.excess > 0 or place.units.hopeless_excess > 0 or place.units.off)
    return off or (place.activation.stuck or 0.0) > STUCK


def _biases(graph: Graph, layer: Layer) -> Iterator[str]:
    """Yield the names of a layer's trainable bias, and of the shift of the norm behind it, where they are not 0."""
    shift = layer.norm.inputs[_SCALED_BY] if layer.norm is not None and len(layer.norm.inputs) > _SCALED_BY else None
    for name in (layer.bias, shift):
        held = graph.parameters.get(name) if name else None
        if name and held is not None and held.trainable and bool(held.value.any()):
            yield name
