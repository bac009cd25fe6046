"""The project's own description of a network as a graph of ONNX's operators, weights drawn."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from service.contract.architecture import Architecture
from worker.load.builder import Builder, Parts
from worker.load.lowering import lower_chain
from worker.network.graph import Graph, Input, Node

BATCH = "batch"
"""What the free first axis is called."""


def lower(architecture: Architecture, *, seed: int) -> Graph:
    """Return the graph of a checked architecture; every weight is drawn by its law under `seed` and its name.

    Layouts are ONNX's: images (batch, channels, height, width), sequences (batch, time, features).
    """
    given = architecture.input
    parts = Parts(seed)
    value = lower_chain(architecture.layers, Builder(parts), given.name, given.shape)
    output = "output" if given.name != "output" else "output_1"
    dtype = torch.int64 if given.dtype == "int64" else torch.float32
    return Graph(
        nodes=_renamed(parts.nodes, value, output),
        inputs=(Input(given.name, dtype, (BATCH, *given.shape), architecture.classes),),
        outputs=(output,),
        parameters=parts.parameters,
        constants=parts.constants,
        opsets={"": 23 if any(node.op == "RMSNormalization" for node in parts.nodes) else 22},
    )


def _renamed(nodes: Sequence[Node], value: str, name: str) -> tuple[Node, ...]:
    """Return the nodes with one value under another name."""

    def swap(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name if each == value else each for each in values)

    return tuple(replace(node, inputs=swap(node.inputs), outputs=swap(node.outputs)) for node in nodes)
