"""How many threads a job's arithmetic is worth.

Below some size the threads of one operator wait for each other longer than they work: a twelve-layer net of width 64
takes five times the processor time with two threads, and longer on the clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

WORTH: Final = 0.005
"""Planned seconds of one forward pass from which a second thread pays."""


@contextmanager
def threads_for(pass_s: float) -> Iterator[None]:
    """Compute with one thread inside, unless a pass of this many planned seconds is worth the process's own number."""
    own = torch.get_num_threads()
    torch.set_num_threads(own if pass_s >= WORTH else 1)
    try:
        yield
    finally:
        torch.set_num_threads(own)
