"""Convolutional LSTMs: the input's convolution for all steps at once, and a Scan with that of the state."""

import torch

from service.contract.architecture import Shape
from service.contract.architecture.conv_lstm import ConvLstm2d
from service.contract.architecture.laws import KERAS_DEFAULT, AnyLaw, Orthogonal
from worker.load.builder import Builder
from worker.load.drawing import convolution_law, keras_law, law_of
from worker.load.formulas import put
from worker.load.lowering import lowering
from worker.load.lowering.convolution import sliding
from worker.load.scanning import Function, lstm_step, scan, zeros
from worker.network.fans import fans
from worker.network.graph import Law
from worker.network.laws import Shifted, Stacked, torch_default

FORGET = 1
"""Where the forget gate stands among the four: input, forget, cell, output."""
_NUMBERS: dict[str, dict[str, float]] = {"leaky_relu": {"negative_slope": 0.01}, "elu": {"alpha": 1.0}}


@lowering("conv_lstm2d")
def conv_lstm(layer: ConvLstm2d, build: Builder, value: str, shape: Shape) -> str:
    """Conv and Scan; the states of all steps are passed on, or the last."""
    state = (layer.filters, *layer.slid(shape[1:], build.pointer))
    fed = _weighted(layer, build, value, shape, (layer.gates * state[0], *state[1:]))
    law = _gates(layer, layer.init.recurrent_law, layer.filters, recurrent=True)
    kernel = build.parameter("recurrent", law)
    before = [(size - 1) // 2 for size in layer.kernels]
    pads = (*before, *(size - 1 - start for size, start in zip(layer.kernels, before, strict=True)))

    def product(inner: Builder, held: str) -> str:
        return inner.node("Conv", held, kernel, role="recurrent", kernel_shape=layer.kernels, pads=pads)

    step = lstm_step(_function(layer.recurrent_activation), _function(layer.activation), product, axis=1)
    starts = [zeros(build, value, state, f"start{index}") for index in range(2)]
    steps, lasts = scan(build, starts, fed, "", step)
    return build.node("Transpose", steps, role="back", perm=(1, 0, 2, 3, 4)) if layer.return_sequences else lasts[0]


def _weighted(layer: ConvLstm2d, build: Builder, value: str, shape: Shape, made: Shape) -> str:
    """Put down the input's convolution at all steps; return (time, batch, gates · filters, height, width)."""
    turned = build.node("Transpose", value, role="turned", perm=(1, 0, 2, 3, 4))
    frames = build.node("Reshape", turned, build.constant("frame", torch.tensor([-1, *shape[1:]])), role="frames")
    weights = [build.parameter("kernel", _gates(layer, layer.init.kernel, shape[1]))]
    if layer.bias:
        weights.append(build.parameter("bias", _bias(layer, shape[1])))
    moved = build.node("Conv", frames, *weights, role="weighted", **sliding(layer, shape[1:]))
    size = build.constant("step.size", torch.tensor([shape[0], -1, *made]))
    return build.node("Reshape", moved, size, role="fed")


def _gates(layer: ConvLstm2d, spec: AnyLaw, channels: int, *, recurrent: bool = False) -> Law:
    """Return the law of a kernel (gates · filters, channels, window…), drawn gate by gate; by Keras's law as one."""
    whole = (layer.gates * layer.filters, channels, *layer.kernels)
    if spec != KERAS_DEFAULT:
        return Stacked((convolution_law(spec, (layer.filters, *whole[1:])),) * layer.gates, whole)
    if recurrent:
        return keras_law(Orthogonal(law="orthogonal"), (*layer.kernels, channels, whole[0]), (3, 2, 0, 1))
    return convolution_law(spec, whole)


def _bias(layer: ConvLstm2d, channels: int) -> Law:
    """Return the law of the gates' biases."""
    size, fan = (layer.filters,), fans((layer.filters, channels, *layer.kernels), "Conv")
    drawn = law_of(layer.init.bias_law, size, fan, torch_default(size, fan))
    added = layer.forget_bias
    if added is None:
        added = float((layer.init.bias or layer.init.kernel) == KERAS_DEFAULT)
    laws = [drawn] * layer.gates
    if added:
        laws[FORGET] = Shifted(drawn, added)
    return Stacked(tuple(laws), (layer.gates * layer.filters,))


def _function(name: str) -> Function:
    """Return what puts an activation down."""

    def function(inner: Builder, value: str, role: str) -> str:
        return value if name == "linear" else put(name, inner, value, role, **_NUMBERS.get(name, {}))

    return function
