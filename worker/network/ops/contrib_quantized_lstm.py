"""onnxruntime's LSTM of quantized weights, whose inputs and states are quantized by their range at each step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.network.ops import beside, op
from worker.network.ops.cells import DIRECTIONS, Cell, Layer, activations, lstm_step
from worker.network.ops.standard import MICROSOFT, standard

USUAL = ("Sigmoid", "Tanh", "Tanh")


@op("DynamicQuantizeLSTM", domain=MICROSOFT, gradient=False)
def dynamic_quantize_lstm(  # noqa: PLR0917  the specification's inputs
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    initial_h: Tensor | None,
    initial_c: Tensor | None,
    p: Tensor | None,
    w_scale: Tensor,
    w_zero: Tensor,
    r_scale: Tensor,
    r_zero: Tensor,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
) -> tuple[Tensor, ...]:
    """c ← f c + i n and h ← o g(c), with gates i, o and f and a candidate n, from quantized x and h."""
    weights = (_real(w, w_scale, w_zero), _real(r, r_scale, r_zero), b)
    ways = DIRECTIONS[direction]
    functions = _functions(activations or USUAL * len(ways), activation_alpha, activation_beta)
    ends = None if lengths is None else beside(x, lengths.to(torch.int64))[0]
    layer = Layer(_stepped(x), *weights, ends, functions, clip, direction, p)
    start = [x.new_zeros(len(ways), x.shape[1], r.shape[1]) if h is None else h for h in (initial_h, initial_c)]
    runs = [
        _one_way(layer, index, torch.cat([h, c], -1), coupled=bool(input_forget))
        for index, (h, c) in enumerate(zip(*start, strict=True))
    ]
    shown, lasts = (torch.stack(each, place) for place, each in enumerate(zip(*runs, strict=True)))
    return shown.movedim(0, 1), *lasts.movedim(1, 0).chunk(2, -1)


_functions = activations


def _real(weight: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """Return weights [directions, inputs, gates] as real ones, transposed; scales are one per direction or gate."""
    size, shift = (each.reshape(len(weight), 1, -1) for each in (scale, zero.to(torch.int32)))
    return ((weight.to(torch.int32) - shift).to(scale.dtype) * size).mT


def _stepped(x: Tensor) -> Tensor:
    """Return x as 256 steps over its own range give it back."""
    if not x.any():
        return x
    real: Tensor = standard("DequantizeLinear")(*standard("DynamicQuantizeLinear")(x))
    return real


def _one_way(layer: Layer, index: int, state: Tensor, *, coupled: bool) -> tuple[Tensor, Tensor]:
    """Return what one direction shows at each step, and its last state [batch, 2 · width]."""
    cell: Cell = layer.cell(index)
    weighted = layer.x @ cell.weight.t() + cell.bias
    width = state.shape[-1] // 2
    shown = [state[:, :width]] * len(layer.x)
    order = range(len(layer.x))
    for now in order if DIRECTIONS[layer.direction][index] == "forward" else reversed(order):
        hidden, memory = state.chunk(2, 1)
        proposed = lstm_step(cell, weighted[now], torch.cat([_stepped(hidden), memory], 1), coupled=coupled)
        running = torch.ones(1, 1, dtype=torch.bool) if layer.lengths is None else (now < layer.lengths).reshape(-1, 1)
        state = torch.where(running, proposed, state)
        shown[now] = torch.where(running, proposed[:, :width], 0)
    return torch.stack(shown), state
