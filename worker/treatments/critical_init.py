"""Initialization at criticality."""

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import critical, redraw
from worker.network.layers import Layer, weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment

SYMPTOMS = {
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


@treatment("critical-init", TreatmentKind.INIT, SYMPTOMS, cost=2, retrains=True)
def critical_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw the weights at the critical scale of their activation

    What it changes
        Kernels and biases of dense and convolutional layers are drawn again: normal, with the variance over fan-in
        at which gradients keep their size behind the activation at hand (2 for ReLU, 1 for SELU, 1.05 for tanh,
        1.98 with biases of variance .17 for GELU).  Recurrent weights stay.

    Why it helps
        A gradient is multiplied by χ₁ per layer; at criticality χ₁ is 1, so depth no longer decides.

    When it is wrong
        Trained weights are lost.  No scale makes a deep sigmoid network critical.  Residual branches without a norm
        double the signal at each block under this scale.

    References
        He et al. 2015; Klambauer et al. 2017; Roberts, Yaida and Hanin 2022.
    """
    layers = weight_layers(subject.graph)
    if not layers:
        return Inapplicable("No dense or convolutional layer has trainable weights.")
    return Change(subject.replace(graph=redraw(subject.graph, layers, subject.seed)), (sentence(layers),))


def sentence(layers: tuple[Layer, ...]) -> str:
    """Say which layers get which variance."""
    scales = {critical(layer.before or layer.after).weights if layer.after else 1.0 for layer in layers}
    listed = ", ".join(f"{scale:.3g}" for scale in sorted(scales))
    return f"Draw {len(layers)} kernels from a normal law of variance {listed} / fan-in, biases accordingly."
