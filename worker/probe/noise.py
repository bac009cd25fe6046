"""Gradient noise: how much of a batch's gradient is chance, in samples (McCandlish et al. 2018, arXiv 1812.06162).

The batch is parted at random into k equal parts of b samples; B = k·b.  With |g|² the mean over parts and |ḡ|² of the
whole, |G|² = (B|ḡ|² − b|g|²)/(B − b) is the signal's square and S = (|g|² − |ḡ|²)/(1/b − 1/B) the noise's, tr Σ, both
without bias; B_simple = S/|G|².  Linear regression of d inputs has (d + 1) + d·σ²/‖Δ‖².  Standard errors leave out one
part at a time.  The parts' norms tell of heavy tails: the largest's robust z of ln norm, and the largest by the median.
Both are the same whatever the loss's scale.  Cost: the gradient of every part, twice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

import torch
from torch import Tensor

from service.contract.words import Mode
from worker.network.graph import Graph, torch_stream
from worker.passes import count
from worker.probe.evidence import Noise
from worker.probe.landscape import Landscape
from worker.robust import centre_and_spread
from worker.subject import Subject

FEWEST: Final = 8
"""Parts that an estimate needs."""
MOST: Final = 32
NORMALIZED: Final = 8
"""Fewest samples of a part where a norm goes over samples: fewer make another network of it."""


@dataclass(frozen=True)
class _Moments:
    """Signal and noise, from the squares of gradients."""

    signal: float
    noise: float

    @property
    def scale(self) -> float:
        return self.noise / self.signal if self.signal > 0 else math.inf


def measure_noise(subject: Subject) -> Noise | str:
    """Return the gradient's noise; in words why not, where the batch does not allow it."""
    if subject.batch.synthetic:
        return "the batch was drawn, so its targets follow nothing"
    if not subject.divisible:
        return "the batch cannot be parted"
    least = NORMALIZED if over_samples(subject) else 1
    parts = min(MOST, subject.batch.size // least)
    if parts < FEWEST:
        return f"{FEWEST} parts of {least} samples are needed, and the batch has {subject.batch.size} samples"
    each = subject.batch.size // parts
    order = torch.randperm(subject.batch.size, generator=torch_stream(subject.seed, "noise"))[: each * parts]
    squares, whole, along = _gradients(subject, torch.split(order.to(subject.device), each))
    if not (math.isfinite(whole) and whole > 0):
        return "the batch's gradient is zero" if whole == 0 else "the batch's gradient is not finite"
    return _noise(squares, whole, along, each)


def over_samples(subject: Subject) -> bool:
    """Whether a norm takes its statistics over the samples of the batch."""
    return subject.mode is Mode.TRAIN and "BatchNormalization" in _operators(subject.graph)


def _operators(graph: Graph) -> set[str]:
    return {node.op for node in graph.nodes}


def _gradients(subject: Subject, parts: Sequence[Tensor]) -> tuple[list[float], float, list[float]]:
    """Return each part's squared gradient, the mean gradient's square, and each part's product with the mean."""
    count(forward=2, backward=2)
    landscape = Landscape(subject)
    mean = torch.zeros_like(landscape.weights, dtype=torch.float64)
    squares = []
    for rows in parts:
        gradient = landscape.gradient(rows).double()
        squares.append(gradient @ gradient)
        mean += gradient / len(parts)
    along = [landscape.gradient(rows).double() @ mean for rows in parts]
    return torch.stack(squares).tolist(), float(mean @ mean), torch.stack(along).tolist()


def _noise(squares: Sequence[float], whole: float, along: Sequence[float], each: int) -> Noise:
    parts = len(squares)
    found = _moments(fmean(squares), whole, each, parts)
    without = [
        _moments(
            (sum(squares) - square) / (parts - 1),
            (parts**2 * whole - 2 * parts * product + square) / (parts - 1) ** 2,
            each,
            parts - 1,
        )
        for square, product in zip(squares, along, strict=True)
    ]
    noise_error = _jackknife([one.noise for one in without])
    signal_error = _jackknife([one.signal for one in without])
    norms = sorted(map(math.sqrt, squares))
    return Noise(
        scale=found.scale,
        lowest=max(found.noise - 2 * noise_error, 0.0) / max(found.signal + 2 * signal_error, math.ulp(0.0)),
        standard_error=_jackknife([one.scale for one in without]),
        samples=each * parts,
        parts=parts,
        tail=_robust(norms),
        largest_by_median=norms[-1] / median(norms) if median(norms) > 0 else math.inf,
        hill=_hill(norms),
    )


def _moments(square: float, whole: float, each: int, parts: int) -> _Moments:
    total = each * parts
    return _Moments((total * whole - each * square) / (total - each), (square - whole) / (1 / each - 1 / total))


def _jackknife(values: Sequence[float]) -> float:
    if not all(map(math.isfinite, values)):
        return math.inf
    middle, size = fmean(values), len(values)
    return math.sqrt((size - 1) / size * sum((value - middle) ** 2 for value in values))


def _robust(norms: Sequence[float]) -> float:
    """Return how far the largest ln norm lies above the median, in robust standard deviations; 0 where none differ."""
    logs = [math.log(norm) for norm in norms if norm > 0]
    middle, spread = centre_and_spread(logs)
    return (logs[-1] - middle) / spread if spread > 0 else 0.0


def _hill(norms: Sequence[float]) -> float:
    """Return Hill's index of sorted norms' largest tenth, infinite where these are equal."""
    most = max(3, len(norms) // 10)
    base = norms[-most - 1]
    excess = fmean(math.log(norm / base) for norm in norms[-most:]) if base > 0 else 0.0
    return 1 / excess if excess > 0 else math.inf
