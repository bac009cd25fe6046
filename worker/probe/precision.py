"""Precision: what the declared number format loses of this pass's numbers.

Values, gradients and steps are computed in float32 and rounded to the format as hardware does.
Overflow: share of a value's numbers beyond the format's largest (float16: 65504).  Flush: share of a gradient's
non-zero numbers that round to zero (float16: |g| ≤ 2⁻²⁵), and ‖g − round(g)‖ / ‖g‖.  Stall: with the optimizer's real
first step Δ and the step r = round(round(w) + Δ) − round(w) of a weight that is kept in the format, the share of
numbers with r = 0 (bfloat16: sure where |Δ| < 2⁻⁹ |w|), and the share of the step that is made, r·Δ / ‖Δ‖²: a few large
numbers can carry most of it.
All are shares, without unit.  Cost: one backward pass, and none where the format is float32.

This is the one measure that the loss's scale changes, and means to: a loss multiplied by 1024 lifts gradients above
float16's smallest number, and that is the cure.  `Settings.loss_scale` multiplies what is rounded on the way back, and
no step: gradients are divided by it before.
Sources: Micikevicius et al. 2018 (arXiv 1710.03740), sections 3.1 and 3.2; Zamirai et al. 2020 (arXiv 2010.06192).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from service.contract.words import Precision
from worker.optimizers import Optimizer
from worker.probe.evidence import Overflow, PrecisionEvidence, Rounding
from worker.probe.places import places
from worker.probe.sweep import Sweep

_DTYPES: Final = {Precision.FLOAT16: torch.float16, Precision.BFLOAT16: torch.bfloat16}


def measure_precision(sweep: Sweep, optimizer: Optimizer) -> PrecisionEvidence | None:
    """Return what the subject's declared format loses; None where that is float32."""
    precision = sweep.subject.settings.precision
    if precision is Precision.FLOAT32:
        return None
    dtype = _DTYPES[precision]
    limits = torch.finfo(dtype)
    return PrecisionEvidence(
        name=precision.value,
        largest=limits.max,
        smallest=limits.smallest_normal * limits.eps / 2,
        overflows=tuple(_overflows(sweep, dtype)),
        weights=tuple(_roundings(sweep, optimizer, dtype)),
        loss_scale=sweep.subject.settings.loss_scale,
    )


def _overflows(sweep: Sweep, dtype: torch.dtype) -> Iterator[Overflow]:
    """Yield the inputs, weights and values on the way that the format cannot hold, in forward order."""
    chosen = [(place, value.detach()) for place, value in _held(sweep) if value.is_floating_point() and value.numel()]
    facts = torch.stack([_overflow(value, dtype) for _, value in chosen]).tolist() if chosen else []
    for (place, _), (share, largest) in zip(chosen, facts, strict=True):
        if share > 0:
            yield replace(place, share=share, largest=largest)


def _held(sweep: Sweep) -> Iterator[tuple[Overflow, Tensor]]:
    """Yield what the format has to hold; of what is only added or chosen, no large negative numbers: masks are that."""
    yield from ((Overflow(name, "input"), value) for name, value in sweep.subject.batch.inputs.items())
    for name, nodes in sweep.path.readers.items():
        yield Overflow(nodes[0].name, "weight", origin=nodes[0].origin), sweep.parameters[name]
    whole = {value for _, value in places(sweep.path)}
    for node in sweep.path.nodes:
        for name in sweep.path.members.intersection(node.outputs):
            value = sweep.values[name]
            yield Overflow(node.name, node.op, origin=node.origin), value if name in whole else value.clamp_min(0)


def _overflow(value: Tensor, dtype: torch.dtype) -> Tensor:
    finite = value.isfinite()
    beyond = finite & value.to(dtype).isinf()
    return torch.stack([beyond.double().mean(), value.where(finite, 0).abs().amax().double()])


def _roundings(sweep: Sweep, optimizer: Optimizer, dtype: torch.dtype) -> Iterator[Rounding]:
    graph = sweep.subject.graph
    trainable = [name for name, parameter in graph.parameters.items() if parameter.trainable]
    gradients = sweep.gradients(trainable)
    first = {name: nodes[0] for name, nodes in sweep.path.readers.items()}
    values = {name: graph.parameters[name].value for name in gradients}
    scale = sweep.subject.settings.loss_scale
    steps = optimizer.first_steps(values, gradients)
    facts = [
        torch.stack([*_flush(gradients[name] * scale, dtype), *_stall(values[name], step, dtype)])
        for name, step in steps
    ]
    told = torch.stack(facts).tolist() if facts else []
    for name, (rms, flushed, lost, moving, stalled, made) in zip(gradients, told, strict=True):
        yield Rounding(
            parameter=name,
            node=first[name].name if name in first else "",
            count=values[name].numel(),
            rms=rms,
            flushed=flushed,
            lost=lost,
            moving=round(moving),
            stalled=stalled,
            made=made,
            matrix=sum(size > 1 for size in values[name].shape) > 1,
            origin=first[name].origin if name in first else None,
        )


def _flush(gradient: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient's root mean square, the share that is flushed, and the share of the norm that is lost."""
    limit = torch.finfo(dtype).max
    exact, rounded = gradient.double(), gradient.clamp(-limit, limit).to(dtype)
    there = gradient != 0
    norm, lost = exact.norm(), (exact - rounded.double()).norm()
    flushed = (there & (rounded == 0)).double().sum() / there.double().sum().clamp_min(1)
    return norm / max(gradient.numel(), 1) ** 0.5, flushed, lost / norm.where(norm > 0, 1)


def _stall(weight: Tensor, step: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return how many numbers the step would move, the share of them that stays, and the share of the step made."""
    held = weight.detach().to(dtype)
    moved = (held.float() + step).to(dtype)
    moving = step != 0
    count = moving.double().sum()
    stays = (moving & (moved == held)).double().sum()
    wanted, real = step.double(), moved.double() - held.double()
    square = wanted.square().sum()
    made = ((real * wanted).sum() / square.where(square > 0, 1)).clamp(0, 1)
    return count, stays / count.clamp_min(1), made
