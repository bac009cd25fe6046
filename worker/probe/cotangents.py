"""Random cotangents: what is pulled back through the network to see what it does to gradients, whatever the loss."""

import torch
from torch import Tensor

from worker.network.graph import torch_stream
from worker.probe.sweep import Sweep


def cotangent(sweep: Sweep, name: str, like: Tensor, draw: int = 0) -> Tensor:
    """Return normal numbers in the shape of a value, on the CPU; each draw and name has a stream of its own."""
    return torch.randn(like.shape, generator=torch_stream(sweep.subject.seed, f"cotangent {draw} {name}"))
