"""Recurrent layers, step by step, so that what happens between steps can be measured.

Where nobody asks for the states, torch's own layers compute the usual ones: the same numbers, four times as fast.
`output_sequence`, until version 6, says whether all steps are wanted: here they are given to whoever names them.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from worker.network.ops import Context, beside, op
from worker.network.ops.cells import DIRECTIONS, Layer, Step, activations, gru_step, lstm_step, rnn_step

USUAL = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
"""The default activation functions."""
ORDER = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1)}
"""Torch's order of the gates, as places in ONNX's."""


def _fused(kind: str, layer: Layer, initial: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return the outputs [steps, directions, batch, width] and the last states, by torch's own layer."""
    weights = []
    for index in range(len(layer.weight)):
        cell = layer.cell(index)
        for part in (cell.weight, cell.recurrence, cell.bias, cell.recurrent_bias):
            gates = part.chunk(len(ORDER[kind]))
            weights.append(torch.cat([gates[place] for place in ORDER[kind]]))
    both = layer.direction == "bidirectional"
    settings = (weights, True, 1, 0.0, False, both, False)
    if kind == "LSTM":
        shown, *lasts = torch.lstm(layer.x, tuple(initial), *settings)
    else:
        shown, *lasts = (torch.gru if kind == "GRU" else torch.rnn_tanh)(layer.x, initial[0], *settings)
    steps, batch = layer.x.shape[:2]
    return shown.reshape(steps, batch, len(layer.weight), -1).transpose(1, 2), lasts


def _computed(
    kind: str, layer: Layer, initial: Sequence[Tensor], step: Step, context: Context
) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the outputs [steps, directions, batch, width] and the last states [directions, batch, width]."""
    if context.states is None and layer.plain:
        return _fused(kind, layer, initial)
    y, last = _unrolled(layer, torch.cat(list(initial), -1), step, context, width=initial[0].shape[-1])
    return y, last.chunk(len(initial), -1)


def _unrolled(layer: Layer, initial: Tensor, step: Step, context: Context, *, width: int) -> tuple[Tensor, Tensor]:
    """Return the outputs [steps, directions, batch, width] and the last states [directions, batch, …]."""
    outputs, lasts = [], []
    for index, direction in enumerate(DIRECTIONS[layer.direction]):
        seen, last, states = _one_way(layer, initial[index], partial(step, layer.cell(index)), index, direction)
        outputs.append(seen[..., :width])
        lasts.append(last)
        if context.states is not None:
            context.states[direction] = tuple(states)
    return torch.stack(outputs, 1), torch.stack(lasts)


def _one_way(
    layer: Layer, state: Tensor, step: Callable[[Tensor, Tensor], Tensor], index: int, direction: str
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return what one direction shows at each step, its last state, and its states in the order of computation."""
    cell = layer.cell(index)
    weighted = layer.x @ cell.weight.t() + cell.bias
    count = len(layer.x)
    shown: list[Tensor] = [state] * count
    states = []
    for now in range(count) if direction == "forward" else reversed(range(count)):
        proposed = step(weighted[now], state)
        if layer.lengths is None:
            state = shown[now] = proposed
        else:
            running = (now < layer.lengths).reshape(-1, 1)
            shown[now] = torch.where(running, proposed, 0)
            state = torch.where(running, proposed, state)
        states.append(state)
    return torch.stack(shown), state, states


def _layer(
    kind: str,
    x: Tensor,
    weights: tuple[Tensor, Tensor, Tensor | None],
    chosen: tuple[Sequence[str] | None, Sequence[float] | None, Sequence[float] | None],
    *,
    clip: float | None,
    direction: str,
    lengths: Tensor | None,
    peephole: Tensor | None = None,
    plain: bool = True,
) -> Layer:
    """Return the layer; `chosen` are names, alphas and betas of its activation functions."""
    usual = USUAL[kind] * len(weights[0])
    names = tuple(chosen[0] or usual)
    same = plain and tuple(map(str.lower, names)) == tuple(map(str.lower, usual))
    ends = None if lengths is None else beside(x, lengths.to(torch.int64))[0]
    return Layer(x, *weights, ends, activations(names, *chosen[1:]), clip, direction, peephole, usual=same)


def _start(given: Tensor | None, layer: Layer, *, batch_first: bool) -> Tensor:
    """Return the initial state [directions, batch, width]; zeros where none is given.

    ValueError where the given one has another shape: torch's own layers read past its end.
    """
    directions, _, width = layer.recurrence.shape
    wanted = (directions, layer.x.shape[1], width)
    if given is None:
        return layer.x.new_zeros(wanted)
    start = given.transpose(0, 1) if batch_first else given
    if tuple(start.shape) != wanted:
        msg = f"the initial state has the shape {list(start.shape)} instead of {list(wanted)}"
        raise ValueError(msg)
    return start


def _laid_out(y: Tensor, lasts: Sequence[Tensor], *, batch_first: bool) -> tuple[Tensor, ...]:
    if not batch_first:
        return y, *lasts
    return y.permute(2, 0, 1, 3), *(last.transpose(0, 1) for last in lasts)


@op("RNN")
def rnn(  # noqa: PLR0917  the specification's inputs
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    output_sequence: int = 0,
    context: Context,
) -> tuple[Tensor, ...]:
    """h ← f(w x + r h + b)."""
    steps = x.transpose(0, 1) if layout else x
    chosen = (activations, activation_alpha, activation_beta)
    layer = _layer("RNN", steps, (w, r, b), chosen, clip=clip, direction=direction, lengths=lengths)
    start = _start(initial_h, layer, batch_first=bool(layout))
    y, lasts = _computed("RNN", layer, [start], rnn_step, context)
    return _laid_out(y, lasts, batch_first=bool(layout))


@op("GRU")
def gru(  # noqa: PLR0917  the specification's inputs
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
    output_sequence: int = 0,
    context: Context,
) -> tuple[Tensor, ...]:
    """h ← (1 - z) n + z h, with update gate z and candidate n, which sees as much of h as the reset gate lets it."""
    steps = x.transpose(0, 1) if layout else x
    chosen, plain = (activations, activation_alpha, activation_beta), bool(linear_before_reset)
    layer = _layer("GRU", steps, (w, r, b), chosen, clip=clip, direction=direction, lengths=lengths, plain=plain)
    start = _start(initial_h, layer, batch_first=bool(layout))
    step = partial(gru_step, linear_before_reset=bool(linear_before_reset))
    y, lasts = _computed("GRU", layer, [start], step, context)
    return _laid_out(y, lasts, batch_first=bool(layout))


@op("LSTM")
def lstm(  # noqa: PLR0917  the specification's inputs
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    initial_h: Tensor | None = None,
    initial_c: Tensor | None = None,
    p: Tensor | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
    output_sequence: int = 0,
    context: Context,
) -> tuple[Tensor, ...]:
    """c ← f c + i n and h ← o g(c), with gates i, o and f, a candidate n, and peepholes p where there are any."""
    steps = x.transpose(0, 1) if layout else x
    layer = _layer(
        "LSTM",
        steps,
        (w, r, b),
        (activations, activation_alpha, activation_beta),
        clip=clip,
        direction=direction,
        lengths=lengths,
        peephole=p,
        plain=not input_forget,
    )
    start = [_start(given, layer, batch_first=bool(layout)) for given in (initial_h, initial_c)]
    step = partial(lstm_step, coupled=bool(input_forget))
    y, lasts = _computed("LSTM", layer, start, step, context)
    return _laid_out(y, lasts, batch_first=bool(layout))
