"""Activations exchanged, each with the initialization that belongs to it."""

from collections.abc import Collection
from typing import Final

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import critical, redraw, redrawable
from worker.network.activations import replaced, writable
from worker.network.graph import Attribute, Node
from worker.network.hidden import hidden_activations
from worker.network.layers import NONLINEAR
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

SYMPTOMS: Final = {
    Symptom.VANISHING_GRADIENT,
    Symptom.SATURATED_UNITS,
    Symptom.DEAD_UNITS,
    Symptom.NO_GRADIENT,
    Symptom.STALLED_TRAINING,
    Symptom.EXPLODING_GRADIENT,
}
_RECTIFIERS: Final = {"Relu", "LeakyRelu", "PRelu"}
_FLAT: Final = {"Relu", "ThresholdedRelu", "Clip"}
"""Activations that are constant below a threshold."""
_TORCH: Final = """
    for parent, (name, old) in [(p, c) for p in model.modules() for c in p.named_children()]:  # but not the head's
        if type(old) in (nn.Sigmoid, nn.Tanh, nn.ReLU, nn.ELU, nn.GELU, nn.SiLU): setattr(parent, name, {new})
        if type(old) in (nn.Linear, nn.Conv2d): old.weight.data.normal_(0, ({weights} / old.weight[0].numel()) ** 0.5)
        if type(old) in (nn.Linear, nn.Conv2d) and old.bias is not None: old.bias.data.normal_(0, {biases})
"""
_KERAS: Final = """
    drawn = lambda s: keras.initializers.VarianceScaling({weights})(s) if s[1:] else {biases} * keras.random.normal(s)
    for layer in (each for each in model.layers[:-1] if type(each).__name__ in ("Dense", "Conv2D", "Activation")):
        if layer.activation is not keras.activations.linear: layer.activation = keras.activations.{new}
        layer.set_weights([drawn(weight.shape) for weight in layer.weights])
"""


def _hints(torch: str, keras: str, weights: float, biases: float = 0.0) -> Hints:
    """Return how to exchange activations and draw the weights with these variance over fan-in and biases' spread."""
    numbers = {"weights": f"{weights:.4g}", "biases": f"{biases:.3g}"}
    return Hints(_TORCH.format(new=torch, **numbers), _KERAS.format(new=keras, **numbers))


@treatment(
    "relu",
    TreatmentKind.ACTIVATION,
    SYMPTOMS - {Symptom.DEAD_UNITS},
    cost=3,
    retrains=True,
    hints=_hints("nn.ReLU()", "relu", 2.0),
)
def relu(subject: Subject, evidence: Evidence) -> Outcome:
    """Use ReLU with He's initialization

    What it changes
        Hidden activations that are not rectifiers become ReLU, and the weights are drawn with variance 2 / fan-in.

    Why it helps
        A rectifier passes half of the gradient's square and He's variance gives it back: χ₁ = 1 at any depth.

    When it is wrong
        Trained weights are lost.  Gates and outputs keep their sigmoid.  Deep rectifier networks make samples alike.

    References
        He et al. 2015 (arXiv 1502.01852).
    """
    return _swapped(subject, "Relu", {}, skip=_RECTIFIERS)


@treatment("selu", TreatmentKind.ACTIVATION, SYMPTOMS, cost=3, retrains=True, hints=_hints("nn.SELU()", "selu", 1.0))
def selu(subject: Subject, evidence: Evidence) -> Outcome:
    """Use SELU with LeCun's initialization

    What it changes
        Hidden activations become SELU, and the weights are drawn with variance 1 / fan-in.

    Why it helps
        SELU draws mean and variance towards 0 and 1 from layer to layer, without a norm.

    When it is wrong
        Its χ₁ is 1.07, so a hundred layers grow by a thousandfold.  Ordinary dropout breaks its fixed point.

    References
        Klambauer et al. 2017 (arXiv 1706.02515).
    """
    return _swapped(subject, "Selu", {}, skip={"Selu"})


@treatment(
    "elu", TreatmentKind.ACTIVATION, SYMPTOMS, cost=3, retrains=True, hints=_hints("nn.ELU()", "elu", 1.497, 0.186)
)
def elu(subject: Subject, evidence: Evidence) -> Outcome:
    """Use ELU at its critical scale

    What it changes
        Hidden activations become ELU, the weights are drawn with variance 1.497 / fan-in, and the biases with .0347.

    Why it helps
        It does not go flat below zero as a rectifier does, and at this pair of variances χ₁ is 1.

    When it is wrong
        Trained weights are lost.  A batch norm in front of it takes the scale out of the weights' hands.

    References
        Clevert et al. 2016 (arXiv 1511.07289); Roberts, Yaida and Hanin 2022, section 5.3 (critical pairs).
    """
    return _swapped(subject, "Elu", {}, skip={"Elu"})


@treatment(
    "gelu", TreatmentKind.ACTIVATION, SYMPTOMS, cost=3, retrains=True, hints=_hints("nn.GELU()", "gelu", 1.983, 0.416)
)
def gelu(subject: Subject, evidence: Evidence) -> Outcome:
    """Use GELU at its critical scale

    What it changes
        Hidden activations become GELU, the weights are drawn with variance 1.983 / fan-in, and the biases with .173.
        In files older than the operator (opset 20) it is written by way of the error function.

    Why it helps
        It is smooth and has a slope below zero; with these biases χ₁ is 1.

    When it is wrong
        With He's initialization, whose biases are zero, it decays to χ₁ = 1/2.  Trained weights are lost.

    References
        Hendrycks and Gimpel 2016 (arXiv 1606.08415); Roberts, Yaida and Hanin 2022, section 5.3.
    """
    if not writable(subject.graph, "Gelu"):
        return Inapplicable("The error function that GELU is made of needs opset 9 or newer.")
    return _swapped(subject, "Gelu", {}, skip={"Gelu"})


@treatment(
    "silu", TreatmentKind.ACTIVATION, SYMPTOMS, cost=3, retrains=True, hints=_hints("nn.SiLU()", "silu", 1.988, 0.745)
)
def silu(subject: Subject, evidence: Evidence) -> Outcome:
    """Use SiLU at its critical scale

    What it changes
        Hidden activations become SiLU (swish), written as x · sigmoid(x) in files older than the operator; the weights
        are drawn with variance 1.988 / fan-in, and the biases with .555.

    Why it helps
        It is smooth and has a slope below zero; with these biases χ₁ is 1.

    When it is wrong
        With He's initialization, whose biases are zero, it decays to χ₁ = 1/2.  Trained weights are lost.

    References
        Ramachandran et al. 2017 (arXiv 1710.05941); Roberts, Yaida and Hanin 2022, section 5.3.
    """
    return _swapped(subject, "Swish", {}, skip={"Swish"})


@treatment("softplus", TreatmentKind.ACTIVATION, cost=3, retrains=True, hints=_hints("nn.Softplus()", "softplus", 2.0))
def softplus(subject: Subject, evidence: Evidence) -> Outcome:
    """Use softplus with He's initialization

    What it changes
        Hidden activations become softplus, and the weights are drawn with variance 2 / fan-in.

    Why it helps
        It has a slope everywhere, so that no unit dies.

    When it is wrong
        No variances of weights and biases make it critical: its outputs are all positive, and under He's they grow with
        the square of depth while gradients fade as a power of it.  Try ELU, GELU or SiLU first.

    References
        Dugas et al. 2001; Glorot, Bordes and Bengio 2011, section 2.2.
    """
    return _swapped(subject, "Softplus", {}, skip={"Softplus"})


@treatment(
    "tanh",
    TreatmentKind.ACTIVATION,
    {Symptom.VANISHING_GRADIENT, Symptom.STALLED_TRAINING},
    cost=3,
    retrains=True,
    hints=_hints("nn.Tanh()", "tanh", 1.05),
)
def tanh(subject: Subject, evidence: Evidence) -> Outcome:
    """Use tanh at its critical scale

    What it changes
        Sigmoids become tanh, and the weights are drawn with variance 1.05 / fan-in.

    Why it helps
        Tanh is centred and has slope 1 at the origin; sigmoid has slope 1/4 and is critical at no usable scale.

    When it is wrong
        Tanh by itself does not prevent vanishing: at a smaller scale it fades as a linear network does.

    References
        Glorot and Bengio 2010; Schoenholz et al. 2017.
    """
    return _swapped(subject, "Tanh", {}, skip=NONLINEAR - {"Sigmoid", "HardSigmoid"} | {"Softmax"})


@treatment(
    "leaky-relu",
    TreatmentKind.ACTIVATION,
    {Symptom.DEAD_UNITS, Symptom.NO_GRADIENT, Symptom.STALLED_TRAINING},
    cost=3,
    retrains=False,
    hints=Hints(
        """
        for parent, (name, old) in [(p, c) for p in model.modules() for c in p.named_children()]:
            if type(old) in (nn.ReLU, nn.ReLU6): setattr(parent, name, nn.LeakyReLU(0.1))
        """,
        """
        for layer in (each for each in model.layers[:-1] if type(each).__name__ in ("Dense", "Conv2D", "Activation")):
            if layer.activation is keras.activations.relu: layer.activation = keras.activations.leaky_relu
        """,
    ),
)
def leaky_relu(subject: Subject, evidence: Evidence) -> Outcome:
    """Let rectifiers leak

    What it changes
        Hidden activations that are flat below a threshold (ReLU, ReLU6, thresholded ReLU) become LeakyReLU of slope
        0.1 (0.2 is what Keras calls leaky_relu); weights stay.

    Why it helps
        A unit that is off still passes a tenth of its gradient and can come back.

    When it is wrong
        Where a bias holds units far off, a tenth may be too little to bring them back soon.

    References
        Maas et al. 2013; Lu et al. 2019.
    """
    return _swapped(subject, "LeakyRelu", {"alpha": 0.1}, skip=NONLINEAR - _FLAT | {"Softmax"}, draw=False)


def _swapped(
    subject: Subject, op: str, attributes: dict[str, Attribute], *, skip: Collection[str], draw: bool = True
) -> Outcome:
    chosen = [node for node in hidden_activations(subject.graph) if node.op not in skip]
    if not chosen:
        return Inapplicable(f"No hidden activation is to become {op}.")
    swapped = replaced(subject.graph, [_exchanged(node, op, attributes) for node in chosen])
    names, first = ", ".join(sorted({node.op for node in chosen})), chosen[0].origin or chosen[0].name
    changes = [f"Replace {len(chosen)} × {names} by {op} (first: {first})."]
    layers = redrawable(swapped) if draw else ()
    if layers:
        scale = critical(Node(op, ("",), ("",), attributes=attributes))
        biases = f", and biases of variance {scale.biases:.3g}" if scale.biases else ""
        swapped = redraw(swapped, layers, subject.seed)
        changes.append(f"Draw {len(layers)} kernels at the scale of {op}, {scale.weights:.4g} / fan-in{biases}.")
    return Change(subject.replace(graph=swapped), tuple(changes))


def _exchanged(node: Node, op: str, attributes: dict[str, Attribute]) -> Node:
    return Node(op, node.inputs[:1], node.outputs[:1], node.name, attributes, origin=node.origin)
