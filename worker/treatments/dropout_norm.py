"""Dropouts moved behind the last batch norm."""

from collections.abc import Collection
from dataclasses import replace

from service.contract.words import Symptom, TreatmentKind
from worker.network.edit import insert_behind
from worker.network.found_norms import batch_norms
from worker.network.graph import Graph, Node, reads
from worker.network.layers import weight_layers
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment


@treatment(
    "swap-dropout-norm",
    TreatmentKind.NORMALIZATION,
    {Symptom.NORMALIZATION_MISUSE, Symptom.OVER_REGULARIZATION, Symptom.GRADIENT_NOISE},
    cost=4,
    retrains=False,
    hints=Hints(
        torch="""
        drops, (name, head) = [d for d in model.modules() if isinstance(d, nn.Dropout)], [*model.named_children()][-1]
        setattr(model, name, nn.Sequential(nn.Dropout(max([d.p for d in drops], default=0.1)), head))
        for each in drops: each.p = 0.0  # one dropout, behind all batch norms
        """,
        keras="""
        def moved(it, k=keras.layers, head=model.layers[-1]):  # one dropout, behind all batch norms
            kept = k.Identity() if isinstance(it, k.Dropout) else it
            return keras.Sequential([k.Dropout(0.1), it]) if it is head else kept
        model = keras.models.clone_model(model, clone_function=moved)
        """,
    ),
)
def swap_dropout_norm(subject: Subject, evidence: Evidence) -> Outcome:
    """Drop units behind the last batch norm, not before one

    What it changes
        Dropouts whose output a batch norm reads, past activations and at most one weight layer, are left out; the
        strongest of them stands behind the last batch norm and its activation, unless one stands there already.

    Why it helps
        Dropout at rate p makes the variance of what has mean zero 1/(1 − p) times as large in training alone, so that
        running variances are too large for evaluation.  Behind the last batch norm it shifts none.

    When it is wrong
        Where dropout was all that kept a network from learning its data by heart, one at the end may be too little.

    References
        Li et al. 2019 (arXiv 1801.05134).
    """
    graph = subject.graph
    spots = sorted(evidence.structure.dropped, key=lambda spot: -spot.measured)
    makers = {node.name: node for node in graph.nodes}
    read = {name for node in graph.nodes for name in reads(node)} | set(graph.outputs)
    drops = [
        makers[spot.also] for spot in spots if spot.also in makers and read.isdisjoint(makers[spot.also].outputs[1:])
    ]
    norms = list(batch_norms(graph))
    if not drops or not norms:
        return Inapplicable("No dropout stands before a batch norm.")
    end = _end(graph, norms[-1])
    graph = _without(graph, {node.name for node in drops})
    there = any(node.op == drops[0].op for node in graph.consumers(end))
    if not there:
        graph = _behind(graph, end, drops[0])
    rate = f"{spots[0].measured:.3g}"
    left = f"Leave out {len(drops)} dropout{'s' if len(drops) > 1 else ''} before batch norms (first: {drops[0].name})."
    put = f"Drop {rate} of the units behind the last one, {norms[-1].origin or norms[-1].name}."
    return Change(subject.replace(graph=graph), (left,) if there else (left, put), {"rate": rate})


def _end(graph: Graph, norm: Node) -> str:
    """Return the output of the activation behind a norm, or the norm's own."""
    layer = next((each for each in weight_layers(graph) if each.norm is not None and each.norm.name == norm.name), None)
    return (layer.after if layer is not None and layer.after is not None else norm).outputs[0]


def _without(graph: Graph, names: Collection[str]) -> Graph:
    nodes = (
        Node("Identity", node.inputs[:1], node.outputs[:1], node.name, origin=node.origin)
        if node.name in names
        else node
        for node in graph.nodes
    )
    return graph.replace(nodes=tuple(nodes))


def _behind(graph: Graph, end: str, drop: Node) -> Graph:
    name = graph.fresh(f"{drop.name}.moved")

    def make(value: str, fresh: str) -> tuple[Node, ...]:
        return (replace(drop, inputs=(value, *drop.inputs[1:]), outputs=(fresh,), name=name),)

    return insert_behind(graph, end, make)
