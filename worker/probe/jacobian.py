"""Isometry: how evenly the Jacobian J between the first and the last hidden cut stretches directions, without unit.

The mean squared singular value is ‖J‖²_F / min(in, out), by Hutchinson's estimate E‖Jᵀu‖² over normal u; the largest is
found by ten steps of power iteration on JᵀJ (.91 to .99 of it, measured), over all samples at once.  Their ratio, the
conditioning index, is 1 for an orthogonal linear network and (L+1)^(L+1)/L^L for L Gaussian matrices in a row; under 4
a network counts as isometric.  Others train too: this explains and decides nothing.
Cost: 3 + 2·10 backward passes; Jv is the derivative of Jᵀu by u.
Source: Pennington et al. 2017 (arXiv 1711.04735).
"""

from statistics import fmean, stdev
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import torch_stream
from worker.passes import count
from worker.probe.evidence import Isometry
from worker.probe.sweep import Sweep

DRAWS: Final = 3
STEPS: Final = 10


def measure_isometry(sweep: Sweep) -> Isometry | str:
    """Return the spectrum's two ends; in words why not, where there are no two hidden cuts or J cannot be applied."""
    cuts = sweep.path.layer_cuts()
    if len(cuts) < 2:  # noqa: PLR2004  a Jacobian has two ends
        return "there are fewer than two hidden layers that nothing skips"
    count(backward=DRAWS + 2 * STEPS + 1)
    start, end = sweep.values[cuts[0]], sweep.values[cuts[-1]]
    size = min(start.numel(), end.numel())
    squares = [
        float(_back(start, end, _normal(sweep, end, draw)).double().square().sum()) / size for draw in range(DRAWS)
    ]
    try:
        largest = _largest(start, end, _normal(sweep, start, DRAWS))
    except (RuntimeError, NotImplementedError) as error:
        if "memory" in str(error):
            raise
        return "an operator has no second derivative"
    mean = fmean(squares)
    if not 0 < mean < float("inf"):
        return "the Jacobian between the hidden layers is zero or not finite in float32"
    return Isometry(mean, max(largest, mean), stdev(squares) / DRAWS**0.5)


def _back(start: Tensor, end: Tensor, cotangent: Tensor, *, twice: bool = False) -> Tensor:
    (found,) = torch.autograd.grad(
        end, start, cotangent, retain_graph=True, create_graph=twice, allow_unused=True, materialize_grads=True
    )
    return found


def _largest(start: Tensor, end: Tensor, vector: Tensor) -> float:
    """Return the largest squared singular value that power iteration finds."""
    dummy = torch.zeros_like(end, requires_grad=True)
    pulled = _back(start, end, dummy, twice=True)
    square = 0.0
    for _ in range(STEPS):
        vector = vector / vector.norm().clamp_min(torch.finfo(vector.dtype).tiny)
        pushed = _back(dummy, pulled, vector)
        square = float(pushed.double().square().sum())
        vector = _back(start, end, pushed)
    return square


def _normal(sweep: Sweep, like: Tensor, draw: int) -> Tensor:
    drawn = torch.randn(like.shape, generator=torch_stream(sweep.subject.seed, f"jacobian {draw}"))
    return drawn.to(like)
