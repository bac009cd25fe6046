"""A Keras model's description as a graph of ONNX's operators, weights drawn."""

from typing import Final

import torch

from service.keras import Description
from service.keras.base import Call
from service.keras.inputs import Input
from worker.load.builder import Builder, Parts
from worker.load.keras import Signal, lower_model
from worker.network import graph
from worker.network.graph import Graph

BATCH: Final = "batch"
"""What the free first axis is called."""
_TYPES: Final = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}


def lower(description: Description, *, seed: int | None) -> Graph:
    """Return the graph of a checked description; every weight is drawn by its law under `seed` and its name.

    Without a seed nothing is drawn: weights have shapes and laws alone.
    Layouts are Keras's: channels last, unless a layer says otherwise.
    """
    parts, model = Parts(seed), description.model
    inputs = [_input(given, description.classes(given)) for given in model.given]
    signals = [
        Signal(given.form.shape, value=given.name, dtype="int64" if one.dtype == torch.int64 else given.form.dtype)
        for given, one in zip(model.given, inputs, strict=True)
    ]
    made = lower_model(model, Builder(parts), Call({"inputs": signals}, Signal))
    return parts.graph(
        inputs, dict(zip(_names(description), (each.value for each in made), strict=True)), description.notes
    )


def _input(given: Input, classes: int | None) -> graph.Input:
    sizes = (size if size is not None else f"{given.name}.{axis}" for axis, size in enumerate(given.form.shape, 1))
    dtype = torch.int64 if classes else _TYPES[given.form.dtype]
    return graph.Input(given.name, dtype, (BATCH, *sizes), classes)


def _names(description: Description) -> list[str]:
    """Return the outputs' names, each its own: those of the layers that make them."""
    taken = {given.name for given in description.model.given}
    names: list[str] = []
    for name, ref in description.model.gives:
        wanted = name if name not in taken else f"{name}.{ref.output or ref.call or 'output'}"
        while wanted in taken:
            wanted += "'"
        taken.add(wanted)
        names.append(wanted)
    return names
