"""Units that are copies of one another made different."""

from typing import Final

import torch
from torch import Tensor

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import redraw, redrawable
from worker.network.graph import Graph
from worker.network.layers import Layer
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

_ALIKE: Final = 1e-6
_HALF: Final = 0.5
_TWO: Final = 2
HINTS: Final = Hints(
    torch="""
        layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d))]
        copies = [m for m in layers if len(m.weight.flatten(1).unique(dim=0)) <= max(1, len(m.weight) / 2)]
        for layer in copies or layers:
            nn.init.kaiming_normal_(layer.weight)
    """,
    keras="""
        layers = [each for each in model.layers if isinstance(each, (keras.layers.Dense, keras.layers.Conv2D))]
        copies = [each for each in layers if keras.ops.max(keras.ops.std(each.kernel, axis=-1)) < 1e-6]
        for layer in copies or layers:
            layer.kernel.assign(keras.initializers.HeNormal()(layer.kernel.shape))
    """,
)


@treatment(
    "break-symmetry",
    TreatmentKind.INIT,
    {Symptom.SYMMETRIC_INIT, Symptom.NO_GRADIENT, Symptom.STALLED_TRAINING, Symptom.RANK_COLLAPSE},
    cost=2,
    retrains=True,
    hints=HINTS,
)
def break_symmetry(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw the weights of units that are copies of one another

    What it changes
        Layers whose units all compute the same, of whose units half are copies of others, or whose weights are zero
        and shut every gradient out, are drawn at random, at the critical scale of their activation; their biases with
        them.  All other layers stay.

    Why it helps
        Copies receive equal gradients and stay copies; random weights part them before the first step.

    When it is wrong
        A head or a residual branch that starts at zero by design parts its units by itself, and is left alone.  What
        such a layer had learnt is lost.

    References
        Goodfellow et al. 2016, Deep Learning, section 8.4.
    """
    graph = subject.graph
    known = {each.name for each in evidence.parameters if each.identical}
    shut = {each.name for each in evidence.parameters if each.state == "dead"}
    chosen = tuple(layer for layer in redrawable(graph) if layer.kernel in known or _copied(graph, layer, shut))
    if not chosen:
        return Inapplicable("No weight layer has units that are copies of one another.")
    first, kernel = chosen[0].node.origin or chosen[0].node.name, graph.parameters[chosen[0].kernel].value
    sentence = (
        f"Draw {len(chosen)} of {len(redrawable(graph))} kernels at random (first: {first}, whose "
        f"{kernel.shape[_axis(chosen[0], kernel)]} units are copies or zero); the others stay."
    )
    return Change(subject.replace(graph=redraw(graph, chosen, subject.seed)), (sentence,))


def _copied(graph: Graph, layer: Layer, shut: set[str]) -> bool:
    """Whether half of a layer's units are copies of others, or all its weights are zero and let nothing through."""
    kernel = graph.parameters[layer.kernel].value
    if not kernel.any():
        return layer.kernel in shut
    if kernel.dim() < _TWO:
        return False
    rows = kernel.detach().movedim(_axis(layer, kernel), 0).flatten(1)
    places = (rows / rows.abs().max() / _ALIKE).round()
    return len(rows) > 1 and len(torch.unique(places, dim=0)) <= max(1, _HALF * len(rows))


def _axis(layer: Layer, kernel: Tensor) -> int:
    """Return the axis of a kernel that counts output units."""
    if layer.node.op in {"Conv", "ConvTranspose"}:
        return int(layer.node.op == "ConvTranspose")
    return kernel.dim() - (_TWO if layer.transposed else 1)
