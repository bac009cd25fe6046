"""An examination in the caller's own process ends at its limits, and leaves the process as it was."""

import resource
import signal
from contextlib import suppress

import pytest
import torch

from service.contract.problem import OutOfMemory, TimedOut, Trouble
from worker.isolation.limits import bounded

GIB = 2**30


def state() -> tuple[object, ...]:
    """Return what is bounded now."""
    return resource.getrlimit(resource.RLIMIT_DATA), signal.getsignal(signal.SIGALRM)


@pytest.mark.parametrize("take", [lambda: bytearray(8 * GIB), lambda: torch.ones(2 * GIB)])
def test_memory_above_the_limit_is_a_problem_that_names_it(take: object) -> None:
    before = state()
    with pytest.raises(OutOfMemory, match="4096 MiB"), bounded(4 * GIB, 60):
        take()
    assert state() == before


def endless() -> None:
    """Loop for ever, and pass over the first trouble, as whoever tries something out does."""
    with suppress(Trouble):
        while True:
            pass
    while True:
        pass


def test_an_endless_loop_ends_at_the_limit_although_a_trouble_is_passed_over() -> None:
    before = state()
    with pytest.raises(TimedOut, match=r"after 0.1 s"), bounded(None, 0.1):
        endless()
    assert state() == before


def stumble() -> None:
    """Raise what has nothing to do with memory."""
    msg = "no room for doubt"
    raise RuntimeError(msg)


def test_other_errors_are_passed_on_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="no room for doubt"), bounded(4 * GIB, 60):
        stumble()
