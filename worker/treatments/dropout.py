"""Dropout behind hidden activations."""

from typing import Final

import torch

from service.contract.words import Mode, TreatmentKind
from worker.network.edit import insert_behind
from worker.network.evaluated import NOISES
from worker.network.graph import Graph, Node
from worker.network.layers import weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment

RATE: Final = 0.2
_BY_INPUT: Final = 12
"""The opset from which the rate is an input."""
_OLDEST: Final = 7
"""The opset before which a file's own attribute tells training from test."""


@treatment(
    "dropout",
    TreatmentKind.REGULARIZATION,
    cost=1,
    retrains=False,
    hints=Hints(
        torch="""
            for layer in model.modules():
                if isinstance(layer, nn.ReLU):  # or your own activation
                    layer.register_forward_hook(lambda layer, _, out: nn.functional.dropout(out, $rate, layer.training))
        """,
        keras="""
            def dropped(layer, k=keras.layers, hidden=model.layers[:-1]):
                own = layer in hidden and isinstance(layer, (k.Dense, k.ReLU, k.Activation)) and layer.get_config()
                return keras.Sequential([layer.__class__.from_config(own), k.Dropout($rate)]) if own else layer
            model = keras.models.clone_model(model, clone_function=dropped)
        """,
    ),
)
def dropout(subject: Subject, evidence: Evidence) -> Outcome:
    """Drop a fifth of the hidden activations

    What it changes
        Behind each hidden activation a fifth of the numbers, drawn anew at every step, becomes zero in training and the
        others grow by a quarter.  Evaluation stays as it is.  Gates and SELU, whose laws it would break, get none.

    Why it helps
        No unit can rely on another, against fitting noise where there are few samples.

    When it is wrong
        It cures no vanishing and no exploding, though it is often advised so: it multiplies signals and gradients by
        the same factor of mean 1, adds noise to both, and asks for more steps.  Before a batch norm it shifts the
        variance between training and evaluation, so there it is left out.  It is tried on request.

    References
        Srivastava et al. 2014, JMLR 15; Li et al. 2019 (arXiv 1801.05134).
    """
    graph = subject.graph
    if reason := _unfit(subject):
        return Inapplicable(reason)
    places = _places(graph)
    if not places:
        return Inapplicable("No hidden activation is without dropout, or none may have it.")
    for node in places:
        graph = _dropped(graph, node)
    first, count = places[0].origin or places[0].name, f"{len(places)} activation{'s' if len(places) > 1 else ''}"
    said = f"Drop {RATE:.0%} of what {count} give (first: {first})."
    return Change(subject.replace(graph=graph), (said,), {"rate": f"{RATE:g}"})


def _unfit(subject: Subject) -> str:
    """Return why a network must have no dropout; nothing where it may."""
    if subject.mode is Mode.EVAL:
        return "The model is examined as in evaluation, where dropout does nothing."
    if subject.graph.opsets.get("", 0) < _OLDEST:
        return f"Dropout that acts in training alone needs opset {_OLDEST} or newer."
    if any(node.op == "BatchNormalization" for node in subject.graph.nodes):
        return "The network has a batch norm, to which dropout would show another variance than evaluation does."
    return ""


def _places(graph: Graph) -> list[Node]:
    """Return the activations that lead to another weight layer, in forward order, but gates and what drops already."""
    before = {layer.before.outputs[0]: layer.before for layer in weight_layers(graph) if layer.before is not None}
    return [
        node
        for value, node in before.items()
        if node.op != "Selu" and not any(reader.op in NOISES | {"Mul"} for reader in graph.consumers(value))
    ]


def _dropped(graph: Graph, activation: Node) -> Graph:
    """Return the graph with a dropout behind an activation, whose rate is said as its opset says it."""
    value = activation.outputs[0]
    name, rate = graph.fresh(f"{activation.name or value}.dropout"), graph.fresh(f"{value}.dropout_rate")
    held = graph.opsets.get("", 0) >= _BY_INPUT
    if held:
        graph = graph.replace(constants={**graph.constants, rate: torch.tensor(RATE)})

    def make(value: str, fresh: str) -> tuple[Node, ...]:
        inputs, attributes = ((value, rate), {}) if held else ((value,), {"ratio": RATE})
        return (Node("Dropout", inputs, (fresh,), name, attributes, origin=activation.origin),)

    return insert_behind(graph, value, make)
