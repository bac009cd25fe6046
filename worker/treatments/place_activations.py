"""Activations put where there is none, and left out where there is one too many."""

from service.contract.words import Symptom, TreatmentKind
from worker.criticality import redraw, redrawable
from worker.network.edit import exchange, insert_behind
from worker.network.graph import Graph, Node
from worker.network.hidden import piled_activations
from worker.network.layers import Layer, weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment


@treatment(
    "activate",
    TreatmentKind.ACTIVATION,
    {Symptom.STRUCTURE_FAULT},
    cost=3,
    retrains=True,
    hints=Hints(
        """
        for part in list(model.modules()):
            if isinstance(part, nn.Linear): part.register_forward_pre_hook(lambda part, given: given[0].relu())
        """,
        """
        for layer in (each for each in model.layers[:-1] if type(each).__name__ in ("Dense", "Conv2D")):
            if layer.activation is keras.activations.linear: layer.activation = keras.activations.relu
        """,
    ),
)
def activate(subject: Subject, evidence: Evidence) -> Outcome:
    """Put a ReLU between weight layers that have nothing nonlinear between them

    What it changes
        Behind each weight layer whose output goes to another one with nothing nonlinear between them stands a ReLU,
        behind its norm where it has one; the weights of both are drawn with He's variance.

    Why it helps
        A product of matrices is a matrix: without an activation such layers can say no more than one of them.

    When it is wrong
        Where the product is meant: a low-rank factorization, a linear network that is studied.  Trained weights of
        these layers are lost.

    References
        Goodfellow et al. 2016, Deep Learning, section 6.1; He et al. 2015 (arXiv 1502.01852).
    """
    graph = subject.graph
    bare = {spot.also for spot in evidence.structure.unbent}
    found = [layer for layer in weight_layers(graph) if layer.node.name in bare and layer.after is None]
    if not found:
        return Inapplicable("Something nonlinear stands between any two weight layers.")
    for layer in found:
        graph = _rectified(graph, layer)
    concerned = bare | {spot.node for spot in evidence.structure.unbent}
    drawn = tuple(layer for layer in redrawable(graph) if layer.node.name in concerned)
    first = found[0].node.origin or found[0].node.name
    changes = (
        f"Put a ReLU behind {len(found)} weight layer{'s' * (len(found) > 1)} (first: {first}).",
        f"Draw {len(drawn)} kernels at the scale of Relu, 2 / fan-in.",
    )
    return Change(subject.replace(graph=redraw(graph, drawn, subject.seed)), changes)


def _rectified(graph: Graph, layer: Layer) -> Graph:
    value = layer.output if layer.norm is None else layer.norm.outputs[0]
    name = graph.fresh(f"{layer.node.name}.relu")

    def make(read: str, fresh: str) -> tuple[Node, ...]:
        return (Node("Relu", (read,), (fresh,), name, origin=layer.node.origin),)

    return insert_behind(graph, value, make)


@treatment(
    "drop-saturating",
    TreatmentKind.ACTIVATION,
    {Symptom.STRUCTURE_FAULT, Symptom.SATURATED_UNITS, Symptom.VANISHING_GRADIENT, Symptom.STALLED_TRAINING},
    cost=3,
    retrains=False,
    hints=Hints(
        """
        squashing = (nn.Sigmoid, nn.Tanh, nn.Softmax, nn.Hardsigmoid, nn.Softsign)  # keep the head's and the gates'
        for parent, (name, old) in [(p, c) for p in model.modules() for c in p.named_children()]:
            if type(old) in squashing: setattr(parent, name, nn.Identity())
        """,
        """
        for layer in (each for each in model.layers[:-1] if type(each).__name__ in ("Dense", "Conv2D", "Activation")):
            if layer.activation in (keras.activations.sigmoid, keras.activations.tanh, keras.activations.softmax):
                layer.activation = keras.activations.linear
        """,
    ),
)
def drop_saturating(subject: Subject, evidence: Evidence) -> Outcome:
    """Leave out activations that squash what another one made

    What it changes
        Of two activations in a row, the one that squashes (sigmoid, tanh, softsign, softmax) is left out, and the
        second of two of one kind; never a gate, nor what the network ends in.  Weights stay.

    Why it helps
        Each squashing takes a share of the gradient (a sigmoid three quarters at best, and all where it saturates), and
        the other activation is nonlinear enough.

    When it is wrong
        Where the squashing bounds what the next layer can bear.  One that stands alone between two weight layers is
        kept, for without it they were one linear layer: exchange it (relu, selu, elu) instead.

    References
        Glorot and Bengio 2010; Nikanjam et al. 2021 (NeuraLint): redundant activations.
    """
    graph = subject.graph
    dropped = piled_activations(graph)
    if not dropped:
        return Inapplicable("No hidden activation squashes what another one made.")
    names, first = ", ".join(sorted({node.op for node in dropped})), dropped[0].origin or dropped[0].name
    left = {
        node.name: Node("Identity", node.inputs[:1], node.outputs, node.name, origin=node.origin) for node in dropped
    }
    return Change(
        subject.replace(graph=exchange(graph, left)), (f"Leave out {len(dropped)} × {names} (first: {first}).",)
    )
