"""Initializations by the fans alone, as textbooks have them: Glorot's (Xavier's), He's and LeCun's."""

from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import redrawable, started
from worker.network.fans import fans
from worker.network.graph import Graph, Law
from worker.network.laws import Normal
from worker.network.layers import Layer
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

SYMPTOMS: Final = {
    Symptom.VANISHING_GRADIENT,
    Symptom.EXPLODING_GRADIENT,
    Symptom.STALLED_TRAINING,
    Symptom.POOR_INIT_SCALE,
    Symptom.NON_FINITE,
}
_TORCH: Final = """
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            {draw}
            layer.bias is None or nn.init.zeros_(layer.bias)
"""
_KERAS: Final = """
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)):
            draw = keras.initializers.VarianceScaling({scale}, "{mode}", "untruncated_normal")
            layer.set_weights([draw(w.shape) if w.ndim > 1 else 0 * w for w in layer.get_weights()])
"""


def _hints(draw: str, scale: float, mode: str) -> Hints:
    return Hints(torch=_TORCH.format(draw=draw), keras=_KERAS.format(scale=scale, mode=mode))


@treatment(
    "xavier-init",
    TreatmentKind.INIT,
    SYMPTOMS | {Symptom.SATURATED_UNITS},
    cost=2,
    retrains=True,
    hints=_hints("nn.init.xavier_normal_(layer.weight)", 1.0, "fan_avg"),
)
def xavier_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw the weights by Glorot's (Xavier's) law

    What it changes
        Kernels of dense and convolutional layers are drawn again: normal, of variance 2 / (fan-in + fan-out), with
        gain 1.  Their biases become 0.  Recurrent weights and embeddings stay.

    Why it helps
        Behind tanh, or no activation, it keeps the size of signals and of gradients, as a compromise where a layer
        widens or narrows.

    When it is wrong
        Behind a rectifier it halves squared gradients layer by layer, behind GELU and SiLU it quarters them, and
        behind a sigmoid it leaves 6% of them.  It does not cure a deep sigmoid network.  Trained weights are lost.

    References
        Glorot and Bengio 2010, equation 12.
    """
    return _drawn(subject, 1.0, "fan_avg", "2 / (fan-in + fan-out)")


@treatment(
    "he-init",
    TreatmentKind.INIT,
    SYMPTOMS | {Symptom.DEAD_UNITS},
    cost=2,
    retrains=True,
    hints=_hints('nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")', 2.0, "fan_in"),
)
def he_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw the weights by He's (Kaiming's) law

    What it changes
        Kernels of dense and convolutional layers are drawn again: normal, of variance 2 / fan-in.  Their biases
        become 0.  Recurrent weights and embeddings stay.

    Why it helps
        A rectifier passes half of a squared gradient, and twice the variance gives it back: χ₁ = 1 at any depth.

    When it is wrong
        Behind tanh (χ₁ = 1.11) and SELU (2.14) gradients grow, behind GELU and SiLU they fade (0.5).  In residual
        branches without a norm it doubles or triples the square of the signal per block.  Trained weights are lost.

    References
        He et al. 2015 (arXiv 1502.01852).
    """
    return _drawn(subject, 2.0, "fan_in", "2 / fan-in")


@treatment(
    "lecun-init",
    TreatmentKind.INIT,
    SYMPTOMS | {Symptom.SATURATED_UNITS},
    cost=2,
    retrains=True,
    hints=_hints('nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")', 1.0, "fan_in"),
)
def lecun_init(subject: Subject, evidence: Evidence) -> Outcome:
    """Draw the weights by LeCun's law

    What it changes
        Kernels of dense and convolutional layers are drawn again: normal, of variance 1 / fan-in.  Their biases
        become 0.  Recurrent weights and embeddings stay.

    Why it helps
        SELU keeps mean 0 and variance 1 by itself under this law; tanh and linear layers keep small signals as they
        are.

    When it is wrong
        Behind a rectifier it halves squared gradients layer by layer.  Trained weights are lost.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.6; Klambauer et al. 2017 (arXiv 1706.02515).
    """
    return _drawn(subject, 1.0, "fan_in", "1 / fan-in")


def _drawn(subject: Subject, scale: float, mode: str, said: str) -> Outcome:
    graph, layers = subject.graph, redrawable(subject.graph)
    if not layers:
        return Inapplicable("No dense or convolutional layer has trainable weights of its own.")

    def kernel(layer: Layer) -> Law:
        return Normal(_shape(graph, layer), _deviation(graph, layer, scale, mode))

    deviations = sorted(_deviation(graph, layer, scale, mode) for layer in layers)
    first = layers[0].node.origin or layers[0].node.name
    sentence = (
        f"Draw {len(layers)} kernels (first: {first}) from a normal law of variance {said}, that is with standard "
        f"deviations from {deviations[0]:.3g} to {deviations[-1]:.3g}, and set their biases to 0."
    )
    return Change(subject.replace(graph=started(graph, layers, subject.seed, kernel)), (sentence,))


def _shape(graph: Graph, layer: Layer) -> tuple[int, ...]:
    return tuple(graph.parameters[layer.kernel].value.shape)


def _deviation(graph: Graph, layer: Layer, scale: float, mode: str) -> float:
    fan = fans(_shape(graph, layer), layer.node.op, transposed=layer.transposed).of(mode)
    return float((scale / max(fan, 1)) ** 0.5)
