"""Orthogonal initialization."""

from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import redraw, redrawable, scaled_to
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

HINTS: Final = Hints(
    torch="""
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, gain=$gain)
                layer.bias is None or nn.init.zeros_(layer.bias)
    """,
    keras="""
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dense):
                layer.kernel.assign(keras.initializers.Orthogonal($gain)(layer.kernel.shape))
                layer.bias is None or layer.bias.assign(0 * layer.bias)
    """,
)


@treatment(
    "orthogonal-init",
    TreatmentKind.INIT,
    {
        Symptom.VANISHING_GRADIENT,
        Symptom.EXPLODING_GRADIENT,
        Symptom.STALLED_TRAINING,
        Symptom.POOR_INIT_SCALE,
        Symptom.RANK_COLLAPSE,
    },
    cost=2,
    retrains=True,
    hints=HINTS,
)
def orthogonal_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw orthogonal weights at the critical scale of their activation

    What it changes
        Dense layers get orthogonal matrices, times the root of the critical variance of the activation at hand (√2
        for ReLU, 1 for SELU).  Biases are drawn as by critical-init.  Convolutions stay.

    Why it helps
        An orthogonal matrix keeps every direction's length, not only the mean; deep tanh and linear networks become
        isometric.

    When it is wrong
        A rectifier halves the gain whatever the matrix, and isometry is lost.  Where a layer widens, lengths are kept
        and the single numbers become smaller.  Trained weights are lost.

    References
        Saxe et al. 2014 (arXiv 1312.6120); Pennington et al. 2017 (arXiv 1711.04735).
    """
    layers = tuple(layer for layer in redrawable(subject.graph) if layer.node.op in {"Gemm", "MatMul"})
    if not layers:
        return Inapplicable("No dense layer has trainable weights of its own.")
    graph = redraw(subject.graph, layers, subject.seed, orthogonal=True)
    gains = [scaled_to(subject.graph, layer).weights ** 0.5 for layer in layers]
    told, first = ", ".join(f"{gain:.3g}" for gain in sorted(set(gains))), layers[0].node.origin or layers[0].node.name
    sentence = f"Draw {len(layers)} kernels (first: {first}) as orthogonal matrices times {told}."
    return Change(subject.replace(graph=graph), (sentence,), {"gain": f"{gains[0]:.4g}"})
