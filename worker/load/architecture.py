"""The project's own description of a network as a graph of ONNX's operators, weights drawn."""

from dataclasses import replace

import torch

from service.contract.architecture import Architecture
from service.contract.architecture.document import Penalty
from worker.load.builder import Builder, Parts
from worker.load.lowering import lower_chain, lower_nodes
from worker.network import graph as graph_form
from worker.network.graph import Graph, Input
from worker.network.layers import weight_layers

BATCH = "batch"
"""What the free first axis is called."""


def lower(architecture: Architecture, *, seed: int | None) -> Graph:
    """Return the graph of a checked architecture; every weight is drawn by its law under `seed` and its name.

    Without a seed nothing is drawn: weights have shapes and laws alone.
    Layouts are ONNX's: images (batch, channels, height, width), sequences (batch, time, features).
    """
    parts = Parts(seed)
    build, given = Builder(parts), architecture.given
    if architecture.layers is not None:
        ((name, only),) = given.items()
        values = {architecture.gives[0]: lower_chain(architecture.layers, build, name, only.signal)}
    else:
        names = [node.name for node in architecture.nodes or ()]
        values = lower_nodes(architecture.steps(), names, build, {name: name for name in given})
    inputs = [
        Input(name, _TYPES[each.dtype], (BATCH, *each.shape), architecture.classes(name))
        for name, each in given.items()
    ]
    graph = parts.graph(inputs, {name: values[name] for name in architecture.gives})
    return graph if architecture.penalty is None else _penalized(graph, architecture.penalty)


def _penalized(graph: Graph, given: Penalty) -> Graph:
    """Return the graph with a penalty on the kernel of each weight layer."""
    held, penalty = graph.parameters, graph_form.Penalty(given.l1, given.l2)
    kernels = {layer.kernel: replace(held[layer.kernel], penalty=penalty) for layer in weight_layers(graph)}
    return graph.replace(parameters={**held, **kernels})


_TYPES = {"float32": torch.float32, "int64": torch.int64}
