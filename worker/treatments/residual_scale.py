"""Residual branches scaled down."""

from dataclasses import replace
from math import sqrt

from service.contract.words import Symptom, TreatmentKind
from worker.network.graph import Graph, Node, Parameter
from worker.network.laws import Times
from worker.network.layers import Layer, weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment


@treatment(
    "residual-scale",
    TreatmentKind.RESIDUAL,
    {Symptom.EXPLODING_GRADIENT, Symptom.RESIDUAL_SCALE, Symptom.NON_FINITE, Symptom.STALLED_TRAINING},
    cost=2,
    retrains=False,
)
def residual_scale(subject: Subject, evidence: Evidence) -> Outcome:
    """Scale the residual branches down

    What it changes
        The last weights of each of the L residual branches are multiplied by 1/√(2L).

    Why it helps
        Each block adds to the signal; unscaled, L blocks multiply its square by up to 2ᴸ, scaled by no more than e.

    When it is wrong
        Branches that end in a norm are bounded already, and keep their weights.

    References
        De and Smith 2020 (arXiv 2002.10444); Radford et al. 2019, section 2.3.
    """
    graph = subject.graph
    ends = _branch_ends(graph)
    if not ends:
        return Inapplicable("No residual branch ends in weights without a norm.")
    scale = 1 / sqrt(2 * len(ends))
    changed = {
        name: _scaled(graph.parameters[name], scale) for layer in ends for name in (layer.kernel, layer.bias) if name
    }
    graph = graph.replace(parameters={**graph.parameters, **changed})
    return Change(
        subject.replace(graph=graph), (f"Multiply the last weights of {len(ends)} residual branches by {scale:.3g}.",)
    )


def _scaled(parameter: Parameter, scale: float) -> Parameter:
    law = None if parameter.law is None else Times(parameter.law, scale)
    return replace(parameter, value=parameter.value * scale, law=law)


def _branch_ends(graph: Graph) -> list[Layer]:
    """Return the layers whose output an addition joins with a signal that bypassed them."""
    producers = graph.producers()
    joins = [node for node in graph.nodes if node.op in {"Add", "Sum"}]
    return [
        layer
        for layer in weight_layers(graph)
        for join in joins
        if layer.output in join.inputs and any(_bypasses(producers, join, layer, value) for value in join.inputs)
    ]


def _bypasses(producers: dict[str, Node], join: Node, layer: Layer, value: str) -> bool:
    """Whether `value`, the other summand, lies upstream of the layer."""
    if value == layer.output or value not in producers:
        return False
    seen, waiting = set(), [layer.node.inputs[0]]
    while waiting:
        name = waiting.pop()
        if name == value:
            return True
        if name not in seen and name in producers:
            seen.add(name)
            waiting.extend(producers[name].inputs)
    return False
