"""Initialization at criticality."""

from collections import Counter
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import Critical, redraw, redrawable, scaled_to
from worker.network.graph import Graph
from worker.network.layers import Layer
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

SYMPTOMS: Final = {
    Symptom.VANISHING_GRADIENT,
    Symptom.EXPLODING_GRADIENT,
    Symptom.SYMMETRIC_INIT,
    Symptom.DEAD_UNITS,
    Symptom.SATURATED_UNITS,
    Symptom.NO_GRADIENT,
    Symptom.STALLED_TRAINING,
    Symptom.NON_FINITE,
    Symptom.POOR_INIT_SCALE,
    Symptom.ATTENTION_COLLAPSE,
    Symptom.RANK_COLLAPSE,
}
HINTS: Final = Hints(
    torch="""
        for layer in model.modules():
            if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                nn.init.normal_(layer.weight, std=($weights / layer.weight[0].numel()) ** 0.5)
                layer.bias is None or nn.init.normal_(layer.bias, std=$biases**0.5)
    """,
    keras="""
        for layer in model.layers:
            if isinstance(layer, (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)):
                std = [($weights / w[..., 0].size if w.ndim > 1 else $biases) ** 0.5 for w in layer.get_weights()]
                layer.set_weights([keras.random.normal(w.shape, stddev=s) for w, s in zip(layer.get_weights(), std)])
    """,
)


@treatment("critical-init", TreatmentKind.INIT, SYMPTOMS, cost=2, retrains=True, hints=HINTS)
def critical_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw the weights at the critical scale of their activation

    What it changes
        Kernels and biases of dense and convolutional layers are drawn again: normal, with the variances, solved for
        the activation at hand and its numbers, at which gradients keep their size: 2 / fan-in for ReLU, 2 / (1 + a²)
        for a leak a, 1 for SELU, 1.05 for tanh, 1.98 with biases of variance .17 for GELU, 1.99 with .56 for SiLU.
        Recurrent weights and embeddings stay.

    Why it helps
        A gradient is multiplied by χ₁ per layer; at criticality χ₁ is 1, so depth no longer decides.

    When it is wrong
        Trained weights are lost.  No scale makes a deep network of sigmoids or softplus critical: behind a sigmoid
        weights are drawn as behind nothing, behind softplus as behind the rectifier that it is from afar.  Residual
        branches without a norm double the signal at each block under this scale.

    References
        Schoenholz et al. 2017 (arXiv 1611.01232); He et al. 2015; Klambauer et al. 2017; Roberts, Yaida and Hanin 2022.
    """
    graph, layers = subject.graph, redrawable(subject.graph)
    if not layers:
        return Inapplicable("No dense or convolutional layer has trainable weights of its own.")
    scales = Counter(scaled_to(graph, layer) for layer in layers)
    (usual, _), *_ = (Counter(scaled_to(graph, layer) for layer in layers if layer.after) or scales).most_common(1)
    values = {"weights": f"{usual.weights:.4g}", "biases": f"{usual.biases:.4g}"}
    return Change(
        subject.replace(graph=redraw(graph, layers, subject.seed)), (_sentence(graph, layers, scales),), values
    )


def _sentence(graph: Graph, layers: tuple[Layer, ...], scales: Counter[Critical]) -> str:
    """Say which layers get which variances."""
    first = layers[0].node.origin or layers[0].node.name
    told = "; ".join(f"{_said(scale)} ({count} of them)" for scale, count in scales.most_common())
    sentence = f"Draw {len(layers)} kernels (first: {first}) from normal laws of variance {told}."
    lost = {layer.after.op for layer in layers if layer.after and not scaled_to(graph, layer).attained}
    return sentence + (f" No scale is critical behind {', '.join(sorted(lost))}." if lost else "")


def _said(scale: Critical) -> str:
    return f"{scale.weights:.4g} / fan-in, biases " + (f"of variance {scale.biases:.3g}" if scale.biases else "0")
