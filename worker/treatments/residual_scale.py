"""Residual branches scaled down."""

from math import sqrt
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.network.branches import Branch, branches
from worker.network.graph import Graph
from worker.network.scaled import times
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

HINTS: Final = Hints(
    torch="""
        ends = [part for name, part in model.named_modules() if name.endswith(("linear2", "out_proj", "conv2", "fc2"))]
        for layer in ends or [layer for layer in model.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))][1:-1]:
            layer.weight.data.mul_($scale)
            layer.bias is None or layer.bias.data.mul_($scale)
    """,
    keras="""
        sums = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
        for layer in {tensor._keras_history[0] for each in sums for tensor in each.input}:
            layer.set_weights([$scale * weight for weight in layer.get_weights()])
    """,
)


@treatment(
    "residual-scale",
    TreatmentKind.RESIDUAL,
    {
        Symptom.EXPLODING_GRADIENT,
        Symptom.RESIDUAL_SCALE,
        Symptom.NON_FINITE,
        Symptom.STALLED_TRAINING,
        Symptom.POOR_INIT_SCALE,
    },
    cost=2,
    retrains=False,
    hints=HINTS,
)
def residual_scale(subject: Subject, evidence: Evidence) -> Outcome:
    """Scale the residual branches down

    What it changes
        The last weights of each of the L residual branches are multiplied by 1/√(2L).

    Why it helps
        Each block adds to the signal; unscaled, L blocks multiply its square by up to 2ᴸ, scaled by no more than e.

    When it is wrong
        Branches that end in a norm are bounded already, and keep their weights.  In a trained network it changes what
        the network computes.

    References
        De and Smith 2020 (arXiv 2002.10444); Radford et al. 2019, section 2.3.
    """
    graph = subject.graph
    ends = [branch for branch in branches(graph) if branch.last is not None]
    if not ends:
        return Inapplicable("No residual branch ends in trainable weights without a norm.")
    scale = 1 / sqrt(2 * len(ends))
    changed = {name: times(graph.parameters[name], scale) for branch in ends for name in _last(graph, branch)}
    first = ends[0].join.origin or ends[0].join.name
    sentence = (
        f"Multiply the last weights of {len(ends)} residual branches (the first added at {first}) by {scale:.3g}."
    )
    return Change(
        subject.replace(graph=graph.replace(parameters={**graph.parameters, **changed})),
        (sentence,),
        {"scale": f"{scale:.3g}"},
    )


def _last(graph: Graph, branch: Branch) -> list[str]:
    if branch.last is None:
        return []
    return [name for name in (branch.last.kernel, branch.last.bias) if name and graph.parameters[name].trainable]
