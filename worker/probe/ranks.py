"""Effective rank: how many directions the samples take at each weight layer's output.

The participation ratio (Σλ)² / Σλ² over the eigenvalues of the covariance between samples, which is tr(K)² / ‖K‖²_F of
the centred Gram matrix K; between 1 (all samples on a line) and min(features, B − 1).  B independent Gaussian samples
of n features have nB/(n + B).  Cost: no pass; B² products of samples per layer.
Sources: Gao et al. 2017 (participation ratio); Roy and Vetterli 2007 (effective rank).
"""

import torch
from torch import Tensor

from worker.probe.evidence import Rank
from worker.probe.sweep import Sweep


def measure_ranks(sweep: Sweep) -> tuple[Rank, ...]:
    """Return the effective rank at each weight layer whose first axis counts the samples, in forward order."""
    size = sweep.subject.batch.size
    written = [(node, sweep.values[value].detach()) for node, value in sweep.path.layers()]
    chosen = [(node, value) for node, value in written if value.dim() > 1 and len(value) == size > 1]
    if not chosen:
        return ()
    ratios = torch.stack([participation(value) for _, value in chosen]).tolist()
    return tuple(
        Rank(node.name, ratio, min(value[0].numel(), size - 1), node.origin)
        for (node, value), ratio in zip(chosen, ratios, strict=True)
    )


def participation(value: Tensor) -> Tensor:
    """Return the participation ratio of samples [B, …]; 0 where they are all the same."""
    centred = value.flatten(1).double()
    centred = centred - centred.mean(0)
    gram = centred @ centred.T
    trace = gram.trace()
    return torch.where(trace > 0, trace.square() / gram.square().sum().clamp_min(torch.finfo(gram.dtype).tiny), 0.0)
