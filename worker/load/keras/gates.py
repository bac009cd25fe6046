"""A recurrent cell's weights, from Keras's layout into that of ONNX's operators."""

from dataclasses import replace
from typing import Final

import torch

from service.keras.base import KerasLayer
from service.keras.initializers import law
from service.keras.layers.cells import CellBase, Gates, GruCell, LstmCell
from worker.load.builder import Builder
from worker.load.drawing import keras_law
from worker.load.keras.weights import penalty, weight
from worker.network.graph import Law
from worker.network.laws import Constant, Reordered, Reshaped, Shape, Stacked

_LSTM: Final = (0, 3, 1, 2)
"""ONNX's gates input, output, forget, cell, as places in Keras's input, forget, cell, output."""


def cell_weights(cell: CellBase, build: Builder, features: int) -> tuple[str, ...]:
    """Draw a cell's weights as Keras does, each as one matrix of all gates; return what the operator reads.

    Kernel (1, gates · units, features), recurrent kernel (1, gates · units, units) and biases (1, 2 · gates · units),
    gates in ONNX's order.  What Keras has one bias for has a second one of zeros, which is not trained.
    """
    rows, units = cell.gates * cell.units, cell.units
    kernel = _drawn(cell, build, "kernel", (features, rows), "kernel")
    steps = _drawn(cell, build, "recurrent", (units, rows), "recurrent_kernel")
    if not cell.use_bias:
        return kernel, steps
    laid = _laid(cell, bias_law(cell, build, units), (1, cell.biases * rows))
    shift = build.parameter("bias", laid, penalty(cell, build, "bias", matrix=False))
    if cell.biases > 1:
        return kernel, steps, shift
    zeros = build.constant("recurrent_bias", torch.zeros(1, rows))
    return kernel, steps, build.node("Concat", shift, zeros, role="biases", axis=1)


def keras_weights(cell: CellBase, build: Builder, features: int) -> tuple[str, str, tuple[str, ...]]:
    """Draw a cell's weights and leave them in Keras's layout.

    Return the kernel (features, gates · units), the recurrent kernel (units, gates · units) and the biases of each.
    """
    rows = cell.gates * cell.units
    kernel = weight(cell, build, "kernel", (features, rows))
    steps = weight(cell, build, "recurrent", (cell.units, rows), as_role="recurrent_kernel")
    if not cell.use_bias:
        return kernel, steps, ()
    both = bias(cell, build, cell.units)
    if cell.biases == 1:
        return kernel, steps, (both,)
    halves = build.nodes("Split", both, role="biases", outputs=("fed", "recurrent"), axis=0, num_outputs=2)
    return kernel, steps, halves


def operator(cell: CellBase) -> str:
    """Return the name of ONNX's operator."""
    if isinstance(cell, LstmCell):
        return "LSTM"
    return "GRU" if isinstance(cell, GruCell) else "RNN"


def _drawn(cell: CellBase, build: Builder, role: str, size: Shape, name: str) -> str:
    """Draw a matrix (in, gates · units), and turn it."""
    spec = law(getattr(cell, f"{role}_initializer"), f"{build.pointer}/config/{role}_initializer")
    drawn = keras_law(spec, size, (1, 0), at=f"{build.pointer}/config/{role}_initializer")
    return build.parameter(name, _laid(cell, drawn, (1, size[1], size[0])), penalty(cell, build, role, matrix=False))


def bias(cell: Gates, build: Builder, units: int) -> str:
    """Draw the biases in Keras's layout."""
    return build.parameter("bias", bias_law(cell, build, units), penalty(cell, build, "bias", matrix=False))


def bias_law(cell: Gates, build: Builder, units: int) -> Law:
    """Return the law of biases as Keras has them; an LSTM's forget gate starts at one unless its config says not."""
    at = f"{build.pointer}/config/bias_initializer"
    spec = law(cell.bias_initializer, at)
    if not getattr(cell, "unit_forget_bias", False):
        rows = cell.gates * units
        return keras_law(spec, (rows,) if cell.biases == 1 else (cell.biases, rows), at=at)
    parts = (keras_law(spec, (units,), at=at), Constant((units,), 1.0), keras_law(spec, (2 * units,), at=at))
    return Stacked(parts, (4 * units,))


def _laid(cell: CellBase, drawn: Law, into: Shape) -> Law:
    """Return the law with the gates in ONNX's order along its first axis, in another shape."""
    return Reshaped(Reordered(drawn, _LSTM) if isinstance(cell, LstmCell) else drawn, into)


def inside(build: Builder, layer: KerasLayer, place: str) -> Builder:
    """Return the builder of a layer that stands at `place` within the config of `build`'s layer."""
    where = f"{build.place}/{place}"
    origin = f'{where} "{layer.name}" ({layer.kind}){build.repetition}'
    return replace(build.inner(layer.name, where, origin), frozen=build.frozen or not layer.trainable)
