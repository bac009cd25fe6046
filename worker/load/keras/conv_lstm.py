"""Convolutional LSTMs: the input's convolution for all steps at once, and a Scan with that of the state."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from service.keras.base import Call
from service.keras.layers.conv_lstm import ConvLstm
from service.keras.layers.recurrent import walk
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.convolution import sliding
from worker.load.keras.gates import bias
from worker.load.keras.packing import Packing, flipped, pack
from worker.load.keras.recurrent import dropped, shown_of
from worker.load.keras.scanning import function
from worker.load.keras.weights import sizes as sizes_of
from worker.load.keras.weights import weight
from worker.load.scanning import lstm_step, scan, zeros


@lowers("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def conv_lstm(layer: ConvLstm, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """Conv, and a Scan; masked steps are left out and put back behind."""
    parts = walk(call, build.pointer)
    mask = parts.mask.value if parts.mask is not None else parts.sequence.mask
    packing = pack(build, mask, backwards=layer.go_backwards, axes=layer.axes + 1) if mask else None
    value = flipped(build, parts.sequence.value, "turned_round") if layer.go_backwards else parts.sequence.value
    value = dropped(build, packing.packed(build, value) if packing else value, layer.dropout)
    shape, *shapes = layer.outputs(call, build.pointer)
    fed = replace(parts.sequence, value=value)
    steps, lasts = _scanned(layer, build, fed, parts.states, packing)
    shown = shown_of(layer, build, (steps, lasts[0]), packing, started=bool(parts.states))
    states = zip(shapes, lasts, strict=False)
    given = Signal(shape, value=shown, mask=mask if layer.return_sequences else None)
    return (given, *(Signal(size, value=each) for size, each in states))


def _scanned(
    layer: ConvLstm, build: Builder, given: Signal, starts: Sequence[Signal], packing: Packing | None
) -> tuple[str, tuple[str, ...]]:
    """Return the states after each step and the last ones, (batch, …) in Keras's layout."""
    rank, sizes = layer.axes, sizes_of(layer.slid(given.shape[1:], build.pointer))
    fed = _weighted(layer, build, given, (layer.gates * layer.filters, *sizes))
    order = (1, 0, *range(2, rank + 3))
    running = build.node("Transpose", packing.running(build), role="running", perm=order) if packing else ""
    begun = [_turned(layer, build, each.value, f"start{index}") for index, each in enumerate(starts)]
    state = (layer.filters, *sizes)
    begun = begun or [zeros(build, given.value, state, f"start{index}") for index in range(2)]
    recurrence = weight(
        layer, build, "recurrent", (*layer.window, layer.filters, 4 * layer.filters), axes=_first(layer),
        as_role="recurrent_kernel",
    )  # fmt: skip
    before = [(size - 1) // 2 for size in layer.window]
    pads = (*before, *(size - 1 - start for size, start in zip(layer.window, before, strict=True)))

    def product(inner: Builder, held: str) -> str:
        return inner.node("Conv", held, recurrence, role="recurrent", kernel_shape=layer.window, pads=pads)

    step = lstm_step(function(layer.recurrent_activation), function(layer.activation), product, axis=1)
    steps, lasts = scan(build, begun, fed, running, step)
    back = (0, 1) if layer.first else (*range(2, rank + 2), 1)
    behind = order if layer.first else (1, 0, *range(3, rank + 3), 2)
    shown = build.node("Transpose", steps, role="back", perm=behind)
    if layer.first:
        return shown, lasts
    ends = (build.node("Transpose", each, role=f"end{index}", perm=(0, *back)) for index, each in enumerate(lasts))
    return shown, tuple(ends)


def _weighted(layer: ConvLstm, build: Builder, given: Signal, made: tuple[int, ...]) -> str:
    """Put down the input's convolution at all steps; return (time, batch, gates · filters, sizes…)."""
    rank, shape = layer.axes, given.shape[1:]
    channels = layer.channels(shape)
    order = (1, 0, *range(2, rank + 3)) if layer.first else (1, 0, rank + 2, *range(2, rank + 2))
    turned = build.node("Transpose", given.value, role="turned", perm=order)
    size = build.constant("frame", torch.tensor([-1, channels, *sizes_of(layer.inside(shape))]))
    frames = build.node("Reshape", turned, size, role="frames")
    kernel = weight(layer, build, "kernel", (*layer.window, channels, 4 * layer.filters), axes=_first(layer))
    shift = [bias(layer, build, layer.filters)] if layer.use_bias else []
    moved = build.node("Conv", frames, kernel, *shift, role="weighted", **sliding(layer, shape))
    steps = build.node("Shape", turned, role="weighted.time", start=0, end=2)
    behind = build.constant("weighted.frame", torch.tensor(list(made)))
    whole = build.node("Concat", steps, behind, role="weighted.size", axis=0)
    return build.node("Reshape", moved, whole, role="fed")


def _first(layer: ConvLstm) -> tuple[int, ...]:
    """Return the order in which (window…, in, out) becomes (out, in, window…)."""
    return (layer.axes + 1, layer.axes, *range(layer.axes))


def _turned(layer: ConvLstm, build: Builder, state: str, role: str) -> str:
    """Return a state with its channels first."""
    if layer.first:
        return state
    return build.node("Transpose", state, role=role, perm=(0, layer.axes + 1, *range(1, layer.axes + 1)))
