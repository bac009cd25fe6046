"""How many threads a job's arithmetic is worth.

Below some size the threads of one operator wait for each other longer than they work: a twelve-layer net of width 64
takes five times the processor time with two threads, and longer on the clock.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Graph
from worker.network.layers import KERNELS

WORTH: Final = 1e8
"""Multiplications of one forward pass from which a second thread pays."""


def multiplications(graph: Graph, values: Mapping[str, Tensor]) -> float:
    """Return the multiplications of dense and convolutional layers in a run with these values."""
    total = 0.0
    for node in graph.nodes:
        if node.op not in KERNELS or not all(name in values for name in (*node.inputs[:2], node.outputs[0])):
            continue
        kernel, output = values[node.inputs[1]], values[node.outputs[0]]
        units = output.shape[1 if node.op in {"Conv", "ConvTranspose"} else -1] if output.dim() > 1 else 1
        total += kernel.numel() / max(units, 1) * output.numel()
    return total


@contextmanager
def threads_for(work: float) -> Iterator[None]:
    """Compute with one thread inside, unless a pass of `work` multiplications is worth the process's own number."""
    own = torch.get_num_threads()
    torch.set_num_threads(own if work >= WORTH else 1)
    try:
        yield
    finally:
        torch.set_num_threads(own)
