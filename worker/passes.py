"""What an examination ran: forward and backward passes of the network, and training steps, counted as they are made.

Whoever makes a pass says so with `count`; whoever wants to know the sum opens `counted`.  A count depends on the upload
and its options alone, seconds do not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Passes:
    """Passes over the whole batch, and steps of training, each a forward and a backward pass over a part of it."""

    forward: int = 0
    backward: int = 0
    steps: int = 0


_open: ContextVar[tuple[Passes, ...]] = ContextVar("passes", default=())


@contextmanager
def counted(passes: Passes) -> Iterator[Passes]:
    """Count what is run while the context lasts; contexts may lie within each other."""
    token = _open.set((*_open.get(), passes))
    try:
        yield passes
    finally:
        _open.reset(token)


def count(*, forward: int = 0, backward: int = 0, steps: int = 0) -> None:
    """Say that these were run."""
    for passes in _open.get():
        passes.forward += forward
        passes.backward += backward
        passes.steps += steps
