"""The end-to-end gradient gain, cut by cut, and the gain along time of recurrent operators.

A random cotangent is pulled back from the last hidden cut and brought back to norm one at every cut, so that neither a
saturated loss nor float32's range hides what the network does.  Costs a backward pass per cotangent.
Sources: Schoenholz et al. 2017 (depth scale), Doshi et al. 2023 (averaged partial Jacobian norm), Hanin & Nica 2018
(noise).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, median, stdev
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import torch_stream
from worker.probe.evidence import Gain, RecurrentGain, Segment
from worker.probe.path import RECURRENT, Path
from worker.probe.sweep import Sweep

COTANGENTS: Final = 3
_SEQUENCE: Final = 3
_ROUNDING: Final = torch.finfo(torch.float32).eps ** 2
"""Share of variance below which there is only float32's rounding."""
_KURTOSIS: Final = 5.0
"""κ of a rectifier (Hanin & Nica 2018): the variance of G over redraws is κ·L/n."""


def measure_gain(sweep: Sweep) -> Gain | None:
    """Return the gain between the first and the last hidden cut; None where there are fewer than two."""
    path = sweep.path
    cuts = path.layer_cuts()
    if len(cuts) < 2:  # noqa: PLR2004  a gain needs two ends
        return None
    draws = [_gains(sweep, cuts, draw) for draw in range(COTANGENTS)]
    gains = [mean(column) for column in zip(*draws, strict=True)]
    totals = [sum(draw) for draw in draws]
    finite = all(map(math.isfinite, totals))
    half = gains[len(gains) // 2 :]
    first, last = (sweep.values[cut].detach() for cut in (cuts[0], cuts[-1]))
    return Gain(
        segments=tuple(_segments(path, cuts, gains)),
        total=sum(gains),
        typical=len(gains) * median(gains),
        late=len(gains) * mean(half),
        standard_error=stdev(totals) / math.sqrt(len(totals)) if finite else 0.0,
        sampling=math.sqrt(_KURTOSIS * sum(1 / max(_width(path, sweep, cut), 1) for cut in cuts)),
        forward=_log_ratio(_power(last), _power(first)),
        collapse=_sample_collapse(first, last, sweep.subject.batch.size),
        token_collapse=_token_collapse(first, last),
    )


def measure_recurrent(sweep: Sweep) -> tuple[RecurrentGain, ...]:
    """Return the gain from the last to the first time step of every recurrent operator."""
    nodes = {node.name: node for node in sweep.subject.graph.nodes if node.op in RECURRENT}
    found = []
    for key, states in sweep.states.items():
        node = nodes.get(key.partition("#")[0])
        if node is None or len(states) < 2 or not states[-1].requires_grad:  # noqa: PLR2004
            continue
        total = sum(_pulled_back(states, _cotangent(sweep, key, states[-1], 0)))
        found.append(RecurrentGain(node.name, node.op, len(states), total, node.origin))
    return tuple(found)


def _gains(sweep: Sweep, cuts: Sequence[str], draw: int) -> list[float]:
    """Return the gain of each segment, in forward order, for one random cotangent."""
    tensors = [sweep.values[cut] for cut in cuts]
    return _pulled_back(tensors, _cotangent(sweep, cuts[-1], tensors[-1], draw))


def _pulled_back(tensors: Sequence[Tensor], cotangent: Tensor) -> list[float]:
    """Return ln of the squared norm's change between neighbours; -inf from where on nothing comes back."""
    gains = []
    for end, start in pairwise(reversed(tensors)):
        (pulled,) = torch.autograd.grad(end, start, cotangent, retain_graph=True, allow_unused=True)
        norm = 0.0 if pulled is None else float(pulled.double().norm())
        if norm == 0 or not math.isfinite(norm):
            gains.append(-math.inf if norm == 0 else math.inf)
            break
        gains.append(2 * math.log(norm))
        cotangent = (pulled.double() / norm).to(pulled.dtype) if pulled is not None else cotangent
    missing = len(tensors) - 1 - len(gains)
    return [0.0] * missing + gains[::-1]


def _cotangent(sweep: Sweep, name: str, like: Tensor, draw: int) -> Tensor:
    drawn = torch.randn(like.shape, generator=torch_stream(sweep.subject.seed, f"cotangent {draw} {name}"))
    unit: Tensor = drawn / drawn.norm().clamp_min(torch.finfo(drawn.dtype).tiny)
    return unit.to(like)


def _segments(path: Path, cuts: Sequence[str], gains: Sequence[float]) -> list[Segment]:
    nodes = [path.producers[cut] for cut in cuts]
    places = [path.position[cut] for cut in cuts]
    return [
        Segment(
            start=nodes[index].name,
            end=nodes[index + 1].name,
            gain=gain,
            layers=path.depth[cuts[index + 1]] - path.depth[cuts[index]],
            origin=nodes[index].origin,
            operators=_operators(path, places[index], places[index + 1]),
        )
        for index, gain in enumerate(gains)
    ]


def _operators(path: Path, start: int, end: int) -> tuple[str, ...]:
    written = path.values[start + 1 : end + 1]
    return tuple(dict.fromkeys(path.producers[value].op for value in written if value in path.producers))


def _width(path: Path, sweep: Sweep, value: str) -> int:
    tensor = sweep.values[value]
    return tensor.shape[path.feature_axis(value, tensor.dim())] if tensor.dim() else 1


def _power(value: Tensor) -> float:
    return float(value.double().square().mean())


def _sample_collapse(first: Tensor, last: Tensor, samples: int) -> float:
    """Return C between samples; recurrent operators have them on another axis than the first."""
    before, after = (next((axis for axis, size in enumerate(cut.shape) if size == samples), 0) for cut in (first, last))
    return _log_ratio(_between(last, after), _between(first, before))


def _token_collapse(first: Tensor, last: Tensor) -> float:
    """Return C between positions, where both cuts are [batch, positions, features] of the same length."""
    sequences = first.dim() == last.dim() == _SEQUENCE and first.shape[1] == last.shape[1] > 1
    return _log_ratio(_between(last, 1), _between(first, 1)) if sequences else 0.0


def _between(value: Tensor, axis: int) -> float:
    """Return the share of the second moment that is variance along an axis."""
    value = value.double()
    power = float(value.square().mean())
    between = float((value - value.mean(axis, keepdim=True)).square().mean())
    return max(between / power, _ROUNDING) if power > 0 else 0.0


def _log_ratio(after: float, before: float) -> float:
    """Return ln of a ratio; 0 where there is none, since infinities (of a mask) stand in one of the values."""
    tiny = 1e-290
    comparable = 0 < before < math.inf and math.isfinite(after)
    return math.log(max(after, tiny)) - math.log(max(before, tiny)) if comparable else 0.0
