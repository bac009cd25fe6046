"""The end-to-end gradient gain, front by front.

A random cotangent is pulled back from the last hidden front and brought back to norm one at every front, so that
neither a saturated loss nor float32's range hides what the network does: g = ln(‖δ_i‖²/‖δ_{i+1}‖²), G = Σ g, in nats.
Costs a backward pass per cotangent, all fronts at once, and one forward pass more where skips pass the fronts; norms
stay on the device and are read once.
Sources: Schoenholz et al. 2017 (depth scale), Doshi et al. 2023 (averaged partial Jacobian norm), Hanin & Nica 2018
(noise), Yang et al. 2019 (power laws and norms).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median, stdev
from typing import Final

import torch
from torch import Tensor

from worker.passes import count
from worker.probe.collapse import log_ratio, nonlinearity, power, sample_collapse, squares, token_collapse
from worker.probe.cotangents import cotangent
from worker.probe.evidence import Bypass, Gain, Segment
from worker.probe.fronts import Front, between, fronts, parted
from worker.probe.norms import normed
from worker.probe.path import Path
from worker.probe.power_law import exponent
from worker.probe.scatter import scatter
from worker.probe.slopes import Slopes, gates, measure_slopes
from worker.probe.sweep import Sweep

COTANGENTS: Final = 3
PAIR: Final = 2
THIRD: Final = 3


@dataclass(frozen=True)
class _Pulled:
    """One cotangent on its way back."""

    norms: Tensor
    """Factors of the norm, from the last front to the first."""
    first: list[Tensor]
    """What arrives at the first front, brought to norm one."""
    shares: Tensor
    """At each of these fronts, the newest tensor's share of the square."""


def measure_gain(sweep: Sweep) -> Gain | None:
    """Return the gain between the first and the last hidden front; None where there are fewer than two."""
    path = sweep.path
    found = fronts(path)
    if len(found) < PAIR:
        return None
    sets = parted(sweep, found)
    pulled = [_pulled(found, sets, _cotangents(sweep, found[-1], sets[-1], draw)) for draw in range(COTANGENTS)]
    count(backward=COTANGENTS)
    draws = [_gains(each) for each in torch.stack([each.norms for each in pulled]).tolist()]
    gains = [sum(column) / len(draws) for column in zip(*draws, strict=True)]
    totals = [sum(draw) for draw in draws]
    finite = all(map(math.isfinite, totals))
    moments = torch.stack([power(tensors) for tensors in sets]).tolist()
    slopes = measure_slopes(sweep)
    size = sweep.subject.batch.size
    return Gain(
        segments=tuple(_segments(path, found, gains, moments, slopes)),
        total=sum(gains),
        typical=_typical(gains),
        late=len(gains) * mean(gains[len(gains) // 2 :]) if len(gains) > PAIR else _typical(gains),
        standard_error=stdev(totals) / math.sqrt(len(totals)) if finite else 0.0,
        sampling=scatter(sweep, found, gains, slopes),
        forward=log_ratio(moments[-1], moments[0]),
        collapse=sample_collapse(sets[0], sets[-1], size),
        token_collapse=token_collapse(sets),
        nonlinearity=_nonlinearity(sets, pulled, totals, size) if finite else None,
        bypass=_starved(path, found, pulled[0]),
        power=exponent(gains) if finite else None,
        normalized=_normalized(path, found),
    )


def _typical(gains: Sequence[float]) -> float:
    """Return the median gain times their number; of two, the lesser one, lest one odd layer be a trend."""
    return len(gains) * (min(gains, key=abs) if len(gains) == PAIR else median(gains))


def _pulled(found: Sequence[Front], sets: Sequence[Sequence[Tensor]], cotangents: Sequence[Tensor]) -> _Pulled:
    norms, shares = [], []
    for front, (ends, starts) in zip(reversed(found[:-1]), pairwise(reversed(sets)), strict=True):
        cotangents, norm = _back(ends, starts, cotangents)
        norms.append(norm)
        shares.append(
            squares([cotangents[front.values.index(front.newest)]]) if len(front.values) > 1 else norm.new_ones(())
        )
    return _Pulled(torch.stack(norms), list(cotangents), torch.stack(shares))


def _back(
    ends: Sequence[Tensor], starts: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> tuple[list[Tensor], Tensor]:
    """Return the unit cotangent one front earlier, and the factor of its norm."""
    given = torch.autograd.grad(ends, starts, cotangents, retain_graph=True, allow_unused=True)
    back = [torch.zeros_like(start) if each is None else each for each, start in zip(given, starts, strict=True)]
    norm = squares(back).sqrt()
    scale = torch.where(norm > 0, norm, 1.0)
    return [(each / scale).to(each.dtype) for each in back], norm


def _gains(norms: Sequence[float]) -> list[float]:
    """Return ln of the squared factors in forward order; -inf from where on nothing comes back."""
    gains = []
    for norm in norms:
        known = 0 < norm < math.inf
        gains.append(2 * math.log(norm) if known else -math.inf if norm == 0 else math.inf)
        if not known:
            break
    return [0.0] * (len(norms) - len(gains)) + gains[::-1]


def _cotangents(sweep: Sweep, front: Front, like: Sequence[Tensor], draw: int) -> list[Tensor]:
    drawn = [cotangent(sweep, value, each, draw) for value, each in zip(front.values, like, strict=True)]
    norm = squares(drawn).sqrt().clamp_min(torch.finfo(torch.float64).tiny)
    return [(each / norm).to(tensor) for each, tensor in zip(drawn, like, strict=True)]


def _nonlinearity(
    sets: Sequence[Sequence[Tensor]], pulled: Sequence[_Pulled], totals: Sequence[float], samples: int
) -> float | None:
    """Return ln NLC², the mean over cotangents."""
    units = [nonlinearity(sets[0], sets[-1], each.first, samples) for each in pulled]
    known = [unit for unit in units if unit is not None]
    if not known:
        return None
    logs = [
        math.log(unit) + total
        for unit, total in zip(torch.stack(known).tolist(), totals, strict=True)
        if 0 < unit < math.inf
    ]
    return max(logs) + math.log(mean(math.exp(each - max(logs)) for each in logs)) if logs else None


def _starved(path: Path, found: Sequence[Front], pulled: _Pulled) -> Bypass | None:
    """Return where the newest tensor of a front gets the least of what comes back; None where no skip passes one."""
    known = [
        (math.log(share * len(front.values)), front)
        for share, front in zip(pulled.shares.tolist(), reversed(found[:-1]), strict=True)
        if share > 0 and len(front.values) > 1
    ]
    if not known:
        return None
    least, front = min(known, key=lambda each: each[0])
    return Bypass(path.producers[front.newest].name, least)


def _segments(
    path: Path,
    found: Sequence[Front],
    gains: Sequence[float],
    moments: Sequence[float],
    slopes: Mapping[str, Slopes],
) -> Iterator[Segment]:
    chain = frozenset(path.cuts()).union(gates(path))
    for index, (start, end) in enumerate(pairwise(found)):
        values = between(path, start, end)
        node = path.producers[start.newest]
        yield Segment(
            start=node.name,
            end=path.producers[end.newest].name,
            gain=gains[index],
            layers=end.depth - start.depth,
            origin=node.origin,
            operators=tuple(dict.fromkeys(path.producers[each].op for each in values if each in path.producers)),
            forward=log_ratio(moments[index + 1], moments[index]),
            slopes=_slopes(values, slopes) if chain.issuperset(values) else None,
            activation=next((slopes[value].op for value in values if value in slopes), ""),
        )


def _slopes(values: Sequence[str], slopes: Mapping[str, Slopes]) -> float:
    """Return ln E[φ'²] over the activations that write these values."""
    return sum(math.log(max(slopes[value].square, 1e-300)) for value in values if value in slopes)


def _normalized(path: Path, found: Sequence[Front]) -> bool:
    """Whether there is a norm for every third weight layer, or more, as in blocks of attention."""
    low, high = path.position[found[0].newest], path.position[found[-1].newest]
    norms = sum(low < path.position[value] <= high for value in normed(path) if value in path.position)
    return THIRD * norms >= found[-1].depth - found[0].depth
