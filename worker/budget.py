"""How long an examination may take, counted so that the same upload is tried in the same way on every machine.

Time is planned, not measured: each pass costs what its arithmetic would take on one slow core, and what is tried
depends on that alone.  The wall clock only ends an examination that takes longer than it was given, and the report
says so then.  What cannot be broken off, a step or a probe, is not begun where the last of its kind took longer than is
left.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final, Self

from torch import Tensor

from worker.network.graph import Graph, Node

_NODE_S: Final = 1.5e-5
"""Seconds that any operator takes."""
_NUMBER_S: Final = 5e-10
"""Seconds per number that an operator writes."""
_PRODUCTS_PER_S: Final = {"Conv": 2e10, "ConvTranspose": 2e10}
"""Multiplications per second of the slower operators."""
_PRODUCTS_PER_S_ELSEWHERE: Final = 6e10
_RECURRENT: Final = frozenset({"RNN", "GRU", "LSTM"})
BOTH_WAYS: Final = 3
"""A step forward and back by a forward pass: the way back costs twice the way there."""
PROBE: Final = 30
"""A probe by a forward pass: two sweeps, gradients at places and weights, three cotangents."""


class OutOfTime(Exception):
    """Something that cannot be broken off was not begun, for lack of time."""


@dataclass
class Meter:
    """Planned seconds spent so far, and the wall clock behind them."""

    limit_s: float
    """Wall-clock seconds after which everything is late."""
    spent_s: float = 0.0
    overrun: bool = False
    """Whether the wall clock ended something that the plan had time for."""
    _start: float = field(default_factory=time.monotonic)
    _lasted: dict[str, float] = field(default_factory=dict)
    """Wall-clock seconds of the last of each kind of work."""

    @contextmanager
    def timed(self, kind: str, seconds: float) -> Iterator[None]:
        """Count the work done inside, and remember how long the clock says that it took."""
        start = time.monotonic()
        yield
        self._lasted[kind] = time.monotonic() - start
        self.spend(seconds)

    def too_late_for(self, kind: str) -> bool:
        """Whether another piece of work of this kind would end after the limit, by the clock."""
        late = time.monotonic() + self._lasted.get(kind, 0.0) > self._start + self.limit_s
        self.overrun = self.overrun or late
        return late

    def would_exceed(self, share: float, kind: str) -> bool:
        """Whether, by the clock, another piece of work of this kind would end after this share of the limit."""
        return time.monotonic() + self._lasted.get(kind, 0.0) > self._start + share * self.limit_s

    def spend(self, seconds: float) -> None:
        """Count what was just done."""
        self.spent_s += seconds

    def now(self) -> float:
        """Return the planned seconds spent; infinity once the wall clock has run out."""
        if time.monotonic() - self._start > self.limit_s:
            self.overrun = True
        return inf if self.overrun else self.spent_s


@dataclass(frozen=True)
class Deadline:
    """When to stop, on a meter's time."""

    meter: Meter
    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return a deadline this far ahead, by plan and by the wall clock."""
        return cls(Meter(seconds), seconds)

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.meter.now() >= self.at

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(self.at - self.meter.now(), 0.0)

    def share(self, part: float) -> Self:
        """Return a deadline that takes this part of the time left."""
        return replace(self, at=min(self.at, self.meter.now() + part * self.left))

    def too_late_for(self, kind: str) -> bool:
        """Whether there is no time left, or by the clock none for another piece of work of this kind."""
        return self.passed or self.meter.too_late_for(kind)

    def spend(self, seconds: float) -> None:
        """Count what was just done."""
        self.meter.spend(seconds)


def pass_seconds(graph: Graph, values: Mapping[str, Tensor]) -> float:
    """Return the planned seconds of a forward pass that computes these values."""
    return sum(_seconds(node, values) for node in graph.nodes)


def _seconds(node: Node, values: Mapping[str, Tensor]) -> float:
    written = sum(values[name].numel() for name in node.outputs if name in values)
    speed = _PRODUCTS_PER_S.get(node.op, _PRODUCTS_PER_S_ELSEWHERE)
    steps = len(values[node.inputs[0]]) if node.op in _RECURRENT and node.inputs[0] in values else 1
    return _NODE_S * steps + _NUMBER_S * written + products(node, values) / speed


def products(node: Node, values: Mapping[str, Tensor]) -> float:
    """Return the multiplications of a dense, convolutional or recurrent operator; 0 for others."""
    if node.op in _RECURRENT and all(name in values for name in node.inputs[:3]):
        sequence, *kernels = (values[name] for name in node.inputs[:3])
        return float(sequence.shape[0] * sequence.shape[1] * sum(kernel.numel() for kernel in kernels))
    if node.op not in {"Conv", "ConvTranspose", "Gemm", "MatMul"}:
        return 0.0
    if not all(name in values for name in (*node.inputs[:2], node.outputs[0])):
        return 0.0
    kernel, output = values[node.inputs[1]], values[node.outputs[0]]
    if node.op == "MatMul":
        return float(output.numel() * kernel.shape[-2 if kernel.dim() > 1 else 0])
    units = output.shape[1]
    return kernel.numel() / max(units, 1) * output.numel()
