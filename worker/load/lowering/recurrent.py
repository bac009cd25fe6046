"""Recurrent layers: ONNX's LSTM, GRU and RNN, which want the time first."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import torch

from service.contract.architecture import Shape
from service.contract.architecture.laws import TORCH_DEFAULT, AnyLaw
from service.contract.architecture.recurrent import Gru, Lstm, Rnn
from worker.load.builder import Builder
from worker.load.drawing import law_of
from worker.load.lowering import lowering
from worker.network.graph import Law
from worker.network.laws import Constant, Fans, Shifted, Stacked, Uniform

FORGET = 2
"""Where the forget gate stands among ONNX's four: input, output, forget, cell."""


@lowering("lstm", "gru", "rnn")
def recurrent(layer: Lstm | Gru | Rnn, build: Builder, value: str, shape: Shape) -> str:
    """One operator per layer; the last one's states are passed on, of every step or after the last."""
    value = build.node("Transpose", value, role="turned", perm=(1, 0, 2))
    features = shape[-1]
    for index in range(layer.layers - 1):
        inner = build.inner(f"layer{index}")
        states = _cell(layer, inner, value, features, every=True)
        value = _joined(inner, inner.node("Transpose", states, role="turned", perm=(0, 2, 1, 3)))
        features = layer.width
    last = build.inner(f"layer{layer.layers - 1}") if layer.layers > 1 else build
    found = _cell(layer, last, value, features, every=layer.return_sequences)
    if layer.return_sequences:
        return _joined(build, build.node("Transpose", found, role="back", perm=(2, 0, 1, 3)))
    return build.node("Flatten", build.node("Transpose", found, role="back", perm=(1, 0, 2)), role="joined", axis=1)


def _cell(layer: Lstm | Gru | Rnn, build: Builder, value: str, features: int, *, every: bool) -> str:
    """Put down one operator; return its states (time, directions, batch, units) or the last (directions, …)."""
    weights = [build.parameter(role, law) for role, law in _laws(layer, features)]
    attributes: dict[str, Any] = {
        "hidden_size": layer.units,
        "direction": "bidirectional" if layer.bidirectional else "forward",
    }
    if isinstance(layer, Gru):
        attributes["linear_before_reset"] = 1
    if isinstance(layer, Rnn):
        attributes["activations"] = (layer.activation.capitalize(),) * (1 + layer.bidirectional)
    outputs = ("states",) if every else ("", "state")
    return build.nodes(layer.kind.upper(), value, *weights, outputs=outputs, **attributes)[-1]


def _laws(layer: Lstm | Gru | Rnn, features: int) -> Iterator[tuple[str, Law]]:
    """Yield the laws of kernel (directions, gates · units, features), recurrent kernel and bias.

    Each gate's matrix is drawn on its own.  PyTorch draws everything uniformly, ±1 / √units.
    """
    directions, units, gates = 1 + layer.bidirectional, layer.units, layer.gates
    kernel = _drawn(layer, layer.init.kernel, (units, features))
    steps = _drawn(layer, layer.init.recurrent or TORCH_DEFAULT, (units, units))
    yield "kernel", Stacked((kernel,) * (directions * gates), (directions, gates * units, features))
    yield "recurrent", Stacked((steps,) * (directions * gates), (directions, gates * units, units))
    if layer.bias:
        yield "bias", Stacked(_biases(layer) * directions, (directions, 2 * gates * units))


def _biases(layer: Lstm | Gru | Rnn) -> tuple[Law, ...]:
    """Return the laws of the gates' two biases; the second is zero unless PyTorch's law draws it too."""
    size = (layer.units,)
    spec = layer.init.bias_law
    first: Law = _drawn(layer, spec, size)
    second: Law = first if spec == TORCH_DEFAULT else Constant(size, 0.0)
    firsts = [first] * layer.gates
    if isinstance(layer, Lstm) and layer.forget_bias:
        firsts[FORGET] = Shifted(first, layer.forget_bias)
    return (*firsts, *(second,) * layer.gates)


def _drawn(layer: Lstm | Gru | Rnn, spec: AnyLaw, size: Shape) -> Law:
    bound = 1 / sqrt(layer.units)
    return law_of(spec, size, Fans(size[-1], size[0]), Uniform(size, -bound, bound))


def _joined(build: Builder, value: str) -> str:
    """Lay the directions' states behind each other."""
    return build.node("Reshape", value, build.constant("join", torch.tensor([0, 0, -1])), role="joined")
