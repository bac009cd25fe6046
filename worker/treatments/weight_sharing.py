"""Weights that several layers share."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from service.contract.words import TreatmentKind
from worker.network.chains import Chain, chains
from worker.network.edit import exchange
from worker.network.graph import Graph, reads
from worker.network.layers import Layer
from worker.probe.evidence import Evidence
from worker.subject import Subject
from worker.treatments import Change, Hints, Inapplicable, Outcome, treatment


@treatment(
    "weight-sharing",
    TreatmentKind.REGULARIZATION,
    cost=5,
    retrains=True,
    hints=Hints(
        """
        layers = [part for part in model.modules() if type(part) is nn.Linear]
        for before, layer in zip(layers, layers[1:]):
            if before.weight.shape == layer.weight.shape: layer.weight, layer.bias = before.weight, before.bias
        """,
        """
        def shared(layer, *given, held={}, **more):
            square = layer.name[:5] == "dense" and layer.units == given[0].shape[-1]
            return (held.setdefault(layer.units, layer) if square else layer)(*given, **more)
        model = keras.models.clone_model(keras.Model(model.inputs[0], model.outputs[0]), call_function=shared)
        """,
    ),
)
def weight_sharing(subject: Subject, evidence: Evidence) -> Outcome:
    """Share the weights of neighbouring hidden layers

    What it changes
        Hidden layers of one shape that follow one another read the kernel and the bias of the first of them; norms
        between them stay each layer's own.

    Why it helps
        There are fewer numbers to fit, so that a network of many equal layers overfits less; advised against vanishing
        and exploding gradients, it changes neither: one matrix is multiplied again and again instead of several.

    When it is wrong
        As a cure of gradients: a matrix's powers follow its largest eigenvalue, as in a recurrent network, and a spread
        that several matrices average out stays.  All trained weights but the first layer's are lost.

    References
        Dehghani et al. 2019 (arXiv 1807.03819); Lan et al. 2020 (ALBERT, arXiv 1909.11942); Pascanu et al. 2013 (arXiv
        1211.5063): what powers of one matrix do.
    """
    graph = subject.graph
    runs = [run for chain in chains(graph) for run in _runs(graph, chain)]
    if not runs:
        return Inapplicable("No two hidden layers of one shape follow each other, with weights of their own.")
    shared = _shared(graph, runs)
    count, first = sum(map(len, runs)), runs[0][0].node.origin or runs[0][0].node.name
    kernels = f"{len(runs)} kernel{'s' * (len(runs) > 1)}"
    return Change(
        subject.replace(graph=shared), (f"Let {count} hidden layers share {kernels} (the first is {first}'s).",)
    )


def _runs(graph: Graph, chain: Chain) -> Iterator[Chain]:
    """Yield the parts of a chain whose layers could be one another's."""
    used = Counter(value for node in graph.nodes for value in reads(node))
    for _, run in groupby(chain, key=lambda layer: _form(graph, layer)):
        layers = tuple(layer for layer in run if all(used[name] == 1 for name in _held(layer)))
        if len(layers) > 1:
            yield layers


def _form(graph: Graph, layer: Layer) -> object:
    """Return what two layers must have in common to share their weights."""
    shapes = [tuple(graph.parameters[name].value.shape) for name in _held(layer)]
    return layer.node.op, dict(layer.node.attributes), shapes, layer.transposed, layer.node.inputs[1] == layer.kernel


def _held(layer: Layer) -> tuple[str, ...]:
    return (layer.kernel,) if layer.bias is None else (layer.kernel, layer.bias)


def _shared(graph: Graph, runs: list[Chain]) -> Graph:
    """Return the graph in which each run reads the first one's parameters; the others' are left out."""
    instead = {
        name: kept
        for first, *others in runs
        for layer in others
        for name, kept in zip(_held(layer), _held(first), strict=True)
    }
    nodes = {
        node.name: replace(node, inputs=tuple(instead.get(name, name) for name in node.inputs))
        for node in graph.nodes
        if instead.keys() & set(node.inputs)
    }
    parameters = {name: each for name, each in graph.parameters.items() if name not in instead}
    return exchange(graph, nodes).replace(parameters=parameters)
