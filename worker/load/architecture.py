"""The project's own description of a network as a graph of ONNX's operators, weights drawn."""

import torch

from service.contract.architecture import Architecture
from worker.load.builder import Builder, Parts
from worker.load.lowering import lower_chain, lower_nodes
from worker.network.graph import Graph, Input

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
    return parts.graph(inputs, {name: values[name] for name in architecture.gives})


_TYPES = {"float32": torch.float32, "int64": torch.int64}
