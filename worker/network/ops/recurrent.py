"""Recurrent layers, step by step, so that what happens between steps can be measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedOperator
from worker.network.ops import Context, beside, op

Activation = Callable[[Tensor], Tensor]
DIRECTIONS = {"forward": ("forward",), "reverse": ("backward",), "bidirectional": ("forward", "backward")}


@dataclass(frozen=True)
class Cell:
    """One direction's weights and functions."""

    weight: Tensor
    recurrence: Tensor
    bias: Tensor
    recurrent_bias: Tensor
    functions: Sequence[Activation]
    clip: Activation
    peephole: Sequence[Tensor] | None = None


Step = Callable[[Cell, Tensor, Tensor], Tensor]
"""(cell, weighted input [batch, gates], state [batch, width]) → the next state."""


PLAIN: Mapping[str, Activation] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "tanh": torch.tanh,
}
SHAPED: Mapping[str, tuple[Callable[..., Tensor], float]] = {
    "elu": (functional.elu, 1.0),
    "leakyrelu": (functional.leaky_relu, 0.01),
    "thresholdedrelu": (lambda x, alpha: torch.where(x > alpha, x, 0 * x), 1.0),
}
"""Functions of x and alpha, with alpha's default."""
AFFINE: Mapping[str, tuple[Callable[..., Tensor], float, float]] = {
    "affine": (lambda x, alpha, beta: alpha * x + beta, 1.0, 0.0),
    "hardsigmoid": (lambda x, alpha, beta: (alpha * x + beta).clamp(0, 1), 0.2, 0.5),
    "scaledtanh": (lambda x, alpha, beta: alpha * torch.tanh(beta * x), 1.0, 1.0),
}
"""Functions of x, alpha and beta, with the defaults of these."""


def _functions(names: Sequence[str], alphas: Sequence[float] | None, betas: Sequence[float] | None) -> list[Activation]:
    """Return the activation functions by name; alphas and betas go to those that take them, in order."""
    alpha, beta = iter(alphas or ()), iter(betas or ())
    return [_function(name.lower(), alpha, beta) for name in names]


def _function(name: str, alphas: Iterator[float], betas: Iterator[float]) -> Activation:
    if name in PLAIN:
        return PLAIN[name]
    if name in SHAPED:
        shaped, alpha = SHAPED[name]
        return _applied(shaped, next(alphas, alpha))
    if name in AFFINE:
        affine, alpha, beta = AFFINE[name]
        return _applied(affine, next(alphas, alpha), next(betas, beta))
    msg = f"The recurrent activation {name!r} is not supported."
    raise UnsupportedOperator(msg)


def _applied(function: Callable[..., Tensor], *settings: float) -> Activation:
    def apply(x: Tensor) -> Tensor:
        return function(x, *settings)

    return apply


@dataclass(frozen=True)
class Layer:
    """A recurrent operator's inputs and attributes, whatever its kind."""

    x: Tensor
    """[steps, batch, features]"""
    weight: Tensor
    recurrence: Tensor
    bias: Tensor | None
    lengths: Tensor | None
    functions: Sequence[Activation]
    clip: float | None
    direction: str
    peephole: Tensor | None = None

    def cell(self, index: int) -> Cell:
        """Return the weights of one direction."""
        rows = self.weight.shape[1]
        both = self.x.new_zeros(2 * rows) if self.bias is None else self.bias[index]
        count = len(self.functions) // len(DIRECTIONS[self.direction])
        limit = self.clip
        return Cell(
            self.weight[index],
            self.recurrence[index],
            both[:rows],
            both[rows:],
            self.functions[index * count : (index + 1) * count],
            torch.nn.Identity() if limit is None else partial(torch.clamp, min=-limit, max=limit),
            None if self.peephole is None else self.peephole[index].chunk(3),
        )


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


def _rnn_step(cell: Cell, weighted: Tensor, state: Tensor) -> Tensor:
    return cell.functions[0](cell.clip(weighted + torch.addmm(cell.recurrent_bias, state, cell.recurrence.t())))


def _gru_step(cell: Cell, weighted: Tensor, state: Tensor, *, linear_before_reset: bool) -> Tensor:
    gate, candidate = cell.functions
    width = state.shape[-1]
    x_gates, x_new = weighted.tensor_split([2 * width], 1)
    w_gates, w_new = cell.recurrence.tensor_split([2 * width])
    b_gates, b_new = cell.recurrent_bias.tensor_split([2 * width])
    update, reset = gate(cell.clip(x_gates + torch.addmm(b_gates, state, w_gates.t()))).chunk(2, 1)
    if linear_before_reset:
        remembered = reset * torch.addmm(b_new, state, w_new.t())
    else:
        remembered = torch.addmm(b_new, reset * state, w_new.t())
    return (1 - update) * candidate(cell.clip(x_new + remembered)) + update * state


def _lstm_step(cell: Cell, weighted: Tensor, state: Tensor, *, coupled: bool) -> Tensor:
    gate, squash, show = cell.functions
    hidden, memory = state.chunk(2, 1)
    sums = weighted + torch.addmm(cell.recurrent_bias, hidden, cell.recurrence.t())
    enter, leave, keep, new = sums.chunk(4, 1)
    if cell.peephole is not None:
        enter, keep = enter + cell.peephole[0] * memory, keep + cell.peephole[2] * memory
    entering = gate(cell.clip(enter))
    keeping = 1 - entering if coupled else gate(cell.clip(keep))
    memory = keeping * memory + entering * squash(cell.clip(new))
    if cell.peephole is not None:
        leave = leave + cell.peephole[1] * memory
    return torch.cat([gate(cell.clip(leave)) * show(memory), memory], 1)


def _layer(
    x: Tensor,
    weights: tuple[Tensor, Tensor, Tensor | None],
    lengths: Tensor | None,
    activations: tuple[Sequence[str], Sequence[float] | None, Sequence[float] | None],
    *,
    clip: float | None,
    direction: str,
    peephole: Tensor | None = None,
) -> Layer:
    names, alphas, betas = activations
    ends = None if lengths is None else beside(x, lengths.to(torch.int64))[0]
    return Layer(x, *weights, ends, _functions(names, alphas, betas), clip, direction, peephole)


def _start(given: Tensor | None, layer: Layer, *, batch_first: bool) -> Tensor:
    """Return the initial state [directions, batch, width]; zeros where none is given."""
    if given is None:
        directions, _, width = layer.recurrence.shape
        return layer.x.new_zeros(directions, layer.x.shape[1], width)
    return given.transpose(0, 1) if batch_first else given


def _laid_out(y: Tensor, lasts: Sequence[Tensor], *, batch_first: bool) -> tuple[Tensor, ...]:
    if not batch_first:
        return y, *lasts
    return y.permute(2, 0, 1, 3), *(last.transpose(0, 1) for last in lasts)


@op("RNN", since=7)
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
    context: Context,
) -> tuple[Tensor, ...]:
    """h ← f(w x + r h + b)."""
    names = activations or ["Tanh"] * len(w)
    steps = x.transpose(0, 1) if layout else x
    layer = _layer(
        steps, (w, r, b), lengths, (names, activation_alpha, activation_beta), clip=clip, direction=direction
    )
    start = _start(initial_h, layer, batch_first=bool(layout))
    y, last = _unrolled(layer, start, _rnn_step, context, width=r.shape[-1])
    return _laid_out(y, [last], batch_first=bool(layout))


@op("GRU", since=7)
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
    context: Context,
) -> tuple[Tensor, ...]:
    """h ← (1 - z) n + z h, with update gate z and candidate n, which sees as much of h as the reset gate lets it."""
    names = activations or ["Sigmoid", "Tanh"] * len(w)
    steps = x.transpose(0, 1) if layout else x
    layer = _layer(
        steps, (w, r, b), lengths, (names, activation_alpha, activation_beta), clip=clip, direction=direction
    )
    start = _start(initial_h, layer, batch_first=bool(layout))
    step = partial(_gru_step, linear_before_reset=bool(linear_before_reset))
    y, last = _unrolled(layer, start, step, context, width=r.shape[-1])
    return _laid_out(y, [last], batch_first=bool(layout))


@op("LSTM", since=7)
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
    context: Context,
) -> tuple[Tensor, ...]:
    """c ← f c + i n and h ← o g(c), with gates i, o and f, a candidate n, and peepholes p where there are any."""
    names = activations or ["Sigmoid", "Tanh", "Tanh"] * len(w)
    steps = x.transpose(0, 1) if layout else x
    layer = _layer(
        steps,
        (w, r, b),
        lengths,
        (names, activation_alpha, activation_beta),
        clip=clip,
        direction=direction,
        peephole=p,
    )
    start = [_start(given, layer, batch_first=bool(layout)) for given in (initial_h, initial_c)]
    step = partial(_lstm_step, coupled=bool(input_forget))
    y, last = _unrolled(layer, torch.cat(start, -1), step, context, width=r.shape[-1])
    return _laid_out(y, last.chunk(2, -1), batch_first=bool(layout))
