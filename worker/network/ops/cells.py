"""What recurrent layers are made of: activation functions, cells and their steps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedOperator

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
    usual: bool = False
    """Whether the activation functions are the operator's defaults."""

    @property
    def plain(self) -> bool:
        """Whether torch's own recurrent layers compute the same."""
        unusual = self.lengths is not None or self.peephole is not None or self.clip is not None
        return self.usual and not unusual and self.direction != "reverse" and self.x.device.type == "cpu"

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


def activations(
    names: Sequence[str], alphas: Sequence[float] | None, betas: Sequence[float] | None
) -> list[Activation]:
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


def rnn_step(cell: Cell, weighted: Tensor, state: Tensor) -> Tensor:
    """h ← f(w x + r h + b)."""
    return cell.functions[0](cell.clip(weighted + torch.addmm(cell.recurrent_bias, state, cell.recurrence.t())))


def gru_step(cell: Cell, weighted: Tensor, state: Tensor, *, linear_before_reset: bool) -> Tensor:
    """h ← (1 - z) n + z h."""
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


def lstm_step(cell: Cell, weighted: Tensor, state: Tensor, *, coupled: bool) -> Tensor:
    """c ← f c + i n and h ← o g(c); the state is h and c side by side."""
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
