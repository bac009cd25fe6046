"""Activations exchanged, each with the initialization that belongs to it."""

from collections.abc import Collection

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import redraw
from worker.network.edit import exchange
from worker.network.graph import Attribute, Graph, Node
from worker.network.layers import NONLINEAR, weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Inapplicable, Outcome, treatment

SYMPTOMS = {
    Symptom.VANISHING_GRADIENT,
    Symptom.SATURATED_UNITS,
    Symptom.DEAD_UNITS,
    Symptom.NO_GRADIENT,
    Symptom.STALLED_TRAINING,
    Symptom.EXPLODING_GRADIENT,
}


@treatment("relu", TreatmentKind.ACTIVATION, SYMPTOMS - {Symptom.DEAD_UNITS}, cost=3, retrains=True)
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
    return _swapped(subject, "Relu", {}, skip={"Relu"})


@treatment("selu", TreatmentKind.ACTIVATION, SYMPTOMS, cost=3, retrains=True)
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
    "tanh", TreatmentKind.ACTIVATION, {Symptom.VANISHING_GRADIENT, Symptom.STALLED_TRAINING}, cost=3, retrains=True
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
    if not any(node.op == "Sigmoid" for node in subject.graph.nodes):
        return Inapplicable("There is no sigmoid.")
    return _swapped(subject, "Tanh", {}, skip=NONLINEAR - {"Sigmoid"})


@treatment(
    "leaky-relu",
    TreatmentKind.ACTIVATION,
    {Symptom.DEAD_UNITS, Symptom.NO_GRADIENT, Symptom.STALLED_TRAINING},
    cost=3,
    retrains=False,
)
def leaky_relu(subject: Subject, evidence: Evidence) -> Outcome:
    """Let rectifiers leak

    What it changes
        Hidden ReLUs become LeakyReLU of slope 0.1; weights stay.

    Why it helps
        A unit that is off still passes a tenth of its gradient and can come back.

    When it is wrong
        Where a bias holds units far off, a tenth may be too little to bring them back soon.

    References
        Maas et al. 2013; Lu et al. 2019.
    """
    return _swapped(subject, "LeakyRelu", {"alpha": 0.1}, skip=NONLINEAR - {"Relu", "ThresholdedRelu"}, draw=False)


def _swapped(
    subject: Subject, op: str, attributes: dict[str, Attribute], *, skip: Collection[str], draw: bool = True
) -> Outcome:
    graph = subject.graph
    chosen = [node for node in _hidden(graph, subject.output) if node.op not in skip]
    if not chosen:
        return Inapplicable(f"No hidden activation is to become {op}.")
    swapped = exchange(graph, {node.name: _exchanged(node, op, attributes) for node in chosen})
    names, first = ", ".join(sorted({node.op for node in chosen})), chosen[0].origin or chosen[0].name
    changes = [f"Replace {len(chosen)} × {names} by {op} (first: {first})."]
    if draw:
        layers = weight_layers(swapped)
        swapped = redraw(swapped, layers, subject.seed)
        changes.append(f"Draw {len(layers)} kernels at the scale that belongs to {op}.")
    return Change(subject.replace(graph=swapped), tuple(changes))


def _exchanged(node: Node, op: str, attributes: dict[str, Attribute]) -> Node:
    return Node(op, node.inputs[:1], node.outputs[:1], node.name, attributes, origin=node.origin)


def _hidden(graph: Graph, output: str) -> list[Node]:
    """Return the activations behind weight layers, but neither gates nor the head."""
    after = {layer.after.name: layer.after for layer in weight_layers(graph) if layer.after is not None}
    return [node for node in after.values() if node.outputs[0] != output and not _is_gate(graph, node)]


def _is_gate(graph: Graph, node: Node) -> bool:
    """Whether a squashing activation multiplies another signal."""
    readers = list(graph.consumers(node.outputs[0]))
    return node.op in {"Sigmoid", "HardSigmoid", "Tanh"} and any(reader.op == "Mul" for reader in readers)
