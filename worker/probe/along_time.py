"""The gain along time: of recurrent operators, of loops and scans, and of recurrences that an exporter unrolled.

A random cotangent at the last state (all states together: [h, c] for an LSTM) is pulled back to the first, step by
step, brought back to norm one at each: λ = G/steps, in nats of squared norm per step, and 2/|λ| steps is how far the
gradient remembers.  Costs one backward pass through each recurrence.
Sources: Pascanu et al. 2013 (arXiv 1211.5063), Chen et al. 2018 (mean field of recurrent networks).
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from worker.probe.cotangents import cotangent
from worker.probe.evidence import RecurrentGain
from worker.probe.path import LOOPS, RECURRENT
from worker.probe.recurrence import unrolled
from worker.probe.sweep import Sweep


def measure_recurrent(sweep: Sweep) -> tuple[RecurrentGain, ...]:
    """Return the gain from the last to the first step of every recurrence that the loss depends on."""
    nodes = {node.name: node for node in sweep.subject.graph.nodes if node.op in RECURRENT | LOOPS}
    found = []
    for key, states in sweep.states.items():
        node = nodes.get(key.partition("#")[0])
        if node is None or len(states) < 2 or not states[-1].requires_grad:  # noqa: PLR2004
            continue
        total = _gain(states, _unit(sweep, key, states[-1]))
        found.append(RecurrentGain(node.name, node.op, len(states), total, node.origin))
    return (*found, *_unrolled(sweep))


def _unrolled(sweep: Sweep) -> Iterator[RecurrentGain]:
    """Yield the gain of every recurrence whose steps are nodes of their own: from h to h, whatever lies between."""
    path = sweep.path
    for steps in (each.steps for each in unrolled(path)):
        states = [sweep.values[path.signal(node)] for node in steps]
        norm, first = _direct(states, _unit(sweep, steps[-1].name, states[-1])), steps[0]
        total = _logs([norm])
        yield RecurrentGain(first.name, first.op, len(steps), total, first.origin)


def _direct(states: Sequence[Tensor], cotangent: Tensor) -> float:
    """Return the norm of what comes back from the last state to the first, by every way there is."""
    (pulled,) = torch.autograd.grad(states[-1], states[0], cotangent, retain_graph=True, allow_unused=True)
    return 0.0 if pulled is None else float(torch.linalg.vector_norm(pulled, dtype=torch.float64))


def _gain(states: Sequence[Tensor], cotangent: Tensor) -> float:
    """Return the sum of ln of the squared norm's changes; -inf where nothing comes back."""
    norms = []
    for end, start in pairwise(reversed(states)):
        (pulled,) = torch.autograd.grad(end, start, cotangent, retain_graph=True, allow_unused=True)
        back = torch.zeros_like(start) if pulled is None else pulled
        norm = torch.linalg.vector_norm(back, dtype=torch.float64)
        cotangent = back / torch.where(norm > 0, norm, 1.0)
        norms.append(norm)
    return _logs(torch.stack(norms).tolist())


def _logs(norms: Sequence[float]) -> float:
    if not all(map(math.isfinite, norms)):
        return math.inf
    return 2 * sum(map(math.log, norms)) if all(norms) else -math.inf


def _unit(sweep: Sweep, name: str, like: Tensor) -> Tensor:
    drawn = cotangent(sweep, name, like)
    unit: Tensor = drawn / drawn.norm().clamp_min(torch.finfo(drawn.dtype).tiny)
    return unit.to(like)
