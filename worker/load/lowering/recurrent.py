"""Recurrent layers: ONNX's LSTM, GRU and RNN, which want the time first."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import torch

from service.contract.architecture import Shape
from service.contract.architecture.laws import KERAS_DEFAULT, TORCH_DEFAULT, AnyLaw
from service.contract.architecture.recurrent import Gru, Lstm, Rnn
from worker.load.builder import Builder
from worker.load.drawing import Part, law_of
from worker.load.lowering import lowering
from worker.network.gate_biases import KEEPING
from worker.network.graph import Law
from worker.network.laws import Constant, Fans, Permuted, Reordered, Shifted, Stacked, Uniform

KERAS_LSTM = (0, 3, 1, 2)
"""ONNX's gates input, output, forget, cell, as places in Keras's input, forget, cell, output."""

_FUNCTIONS = {
    "tanh": ("Tanh", 0.0, 0.0),
    "sigmoid": ("Sigmoid", 0.0, 0.0),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "relu": ("Relu", 0.0, 0.0),
    "leaky_relu": ("LeakyRelu", 0.01, 0.0),
    "elu": ("Elu", 1.0, 0.0),
    "softsign": ("Softsign", 0.0, 0.0),
    "softplus": ("Softplus", 0.0, 0.0),
    "linear": ("Affine", 1.0, 0.0),
}
"""ONNX's name of each function, with its alpha and beta."""
_SHAPED = {"HardSigmoid": 2, "LeakyRelu": 1, "Elu": 1, "Affine": 2}
"""How many of alpha and beta a function takes."""
_MERGES = {"sum": "ReduceSum", "mul": "ReduceProd", "ave": "ReduceMean"}


@lowering("lstm", "gru", "rnn")
def recurrent(layer: Lstm | Gru | Rnn, build: Builder, value: str, shape: Shape) -> str:
    """One operator per layer; the last one's states are passed on, of every step or after the last."""
    value = build.node("Transpose", value, role="turned", perm=(1, 0, 2))
    features = shape[-1]
    for index in range(layer.layers - 1):
        inner = build.inner(f"layer{index}")
        value = _between(layer, inner, _cell(layer, inner, value, features, every=True))
        features = layer.width
    last = build.inner(f"layer{layer.layers - 1}") if layer.layers > 1 else build
    found = _cell(layer, last, value, features, every=layer.return_sequences)
    return _passed_on(layer, build, found)


def _between(layer: Lstm | Gru | Rnn, build: Builder, states: str) -> str:
    """Put down what leads from states (time, directions, batch, units) to the next layer (time, batch, width)."""
    if layer.merge != "concat":
        value = _merged(layer, build, states, 1)
    else:
        value = _joined(build, build.node("Transpose", states, role="turned", perm=(0, 2, 1, 3)))
    if not layer.dropout:
        return value
    return build.node("Dropout", value, build.constant("rate", torch.tensor(layer.dropout)), role="dropout")


def _passed_on(layer: Lstm | Gru | Rnn, build: Builder, states: str) -> str:
    """Put down what leads from the operator's output to the layer's: the batch first, the directions merged."""
    every = layer.return_sequences
    if layer.merge != "concat":
        merged = _merged(layer, build, states, int(every))
        return build.node("Transpose", merged, role="back", perm=(1, 0, 2)) if every else merged
    if every:
        return _joined(build, build.node("Transpose", states, role="back", perm=(2, 0, 1, 3)))
    return build.node("Flatten", build.node("Transpose", states, role="back", perm=(1, 0, 2)), role="joined", axis=1)


def _merged(layer: Lstm | Gru | Rnn, build: Builder, states: str, axis: int) -> str:
    axes = build.constant("directions", torch.tensor([axis]))
    return build.node(_MERGES[layer.merge], states, axes, role="merged", keepdims=0)


def _joined(build: Builder, value: str) -> str:
    """Lay the directions' states behind each other."""
    return build.node("Reshape", value, build.constant("join", torch.tensor([0, 0, -1])), role="joined")


def _cell(layer: Lstm | Gru | Rnn, build: Builder, value: str, features: int, *, every: bool) -> str:
    """Put down one operator; return its states (time, directions, batch, units) or the last (directions, …)."""
    weights = [build.parameter(role, law) for role, law in _laws(layer, features)]
    walk = "bidirectional" if layer.bidirectional else "reverse" if layer.reverse else "forward"
    attributes: dict[str, Any] = {"hidden_size": layer.units, "direction": walk, **_functions(layer)}
    if isinstance(layer, Gru):
        attributes["linear_before_reset"] = int(layer.reset_after)
    outputs = ("states",) if every else ("", "state")
    return build.nodes(layer.kind.upper(), value, *weights, outputs=outputs, **attributes)[-1]


def _functions(layer: Lstm | Gru | Rnn) -> dict[str, tuple[str, ...] | tuple[float, ...]]:
    """Return the attributes that name the cells' functions; none where they are ONNX's own."""
    if isinstance(layer, Rnn):
        names = [layer.activation]
    else:
        names = [layer.recurrent_activation, layer.activation, *[layer.activation] * isinstance(layer, Lstm)]
    if names in (["tanh"], ["sigmoid", "tanh"], ["sigmoid", "tanh", "tanh"]):
        return {}
    found = [_FUNCTIONS[name] for name in names] * layer.directions
    shaped = {
        "activation_alpha": tuple(alpha for name, alpha, _ in found if _SHAPED.get(name, 0) > 0),
        "activation_beta": tuple(beta for name, _, beta in found if _SHAPED.get(name, 0) > 1),
    }
    return {"activations": tuple(name for name, _, _ in found), **{key: all_ for key, all_ in shaped.items() if all_}}


def _laws(layer: Lstm | Gru | Rnn, features: int) -> Iterator[tuple[str, Law]]:
    """Yield the laws of kernel (directions, gates · units, features), recurrent kernel and bias.

    Each gate's matrix is drawn on its own; Keras draws them as one.  PyTorch draws everything uniformly, ±1 / √units.
    """
    directions, rows = layer.directions, layer.gates * layer.units
    kernel = _gates(layer, layer.init.kernel, features, "kernel")
    steps = _gates(layer, layer.init.recurrent_law, layer.units, "recurrent")
    yield "kernel", Stacked(kernel * directions, (directions, rows, features))
    yield "recurrent", Stacked(steps * directions, (directions, rows, layer.units))
    if layer.bias:
        yield "bias", Stacked(_biases(layer) * directions, (directions, 2 * rows))


def _gates(layer: Lstm | Gru | Rnn, spec: AnyLaw, features: int, part: Part) -> tuple[Law, ...]:
    """Return the laws that draw one direction's matrices (units, features), gate by gate or all at once."""
    if spec != KERAS_DEFAULT:
        return (_drawn(layer, spec, (layer.units, features)),) * layer.gates
    size = (features, layer.gates * layer.units)
    whole = Permuted(law_of(spec, size, Fans(*size), Constant(size, 0.0), part), (1, 0))
    return (Reordered(whole, KERAS_LSTM) if isinstance(layer, Lstm) else whole,)


def _biases(layer: Lstm | Gru | Rnn) -> tuple[Law, ...]:
    """Return the laws of the gates' two biases; the second is zero unless PyTorch's law draws it too."""
    size = (layer.units,)
    spec = layer.init.bias_law
    first: Law = _drawn(layer, spec, size)
    second: Law = first if spec == TORCH_DEFAULT else Constant(size, 0.0)
    firsts = [first] * layer.gates
    if by := _raised(layer):
        firsts[KEEPING[layer.kind.upper()][1]] = Shifted(first, by)
    return (*firsts, *(second,) * layer.gates)


def _raised(layer: Lstm | Gru | Rnn) -> float:
    """Return what is added to the bias of the gate that keeps the state.

    For an LSTM's forget gate, what the file says, else 1 where Keras's law draws it.
    """
    if isinstance(layer, Rnn):
        return 0.0
    if isinstance(layer, Gru):
        return layer.update_bias or 0.0
    if layer.forget_bias is not None:
        return layer.forget_bias
    return float((layer.init.bias or layer.init.kernel) == KERAS_DEFAULT)


def _drawn(layer: Lstm | Gru | Rnn, spec: AnyLaw, size: Shape) -> Law:
    bound = 1 / sqrt(layer.units)
    return law_of(spec, size, Fans(size[-1], size[0]), Uniform(size, -bound, bound))
