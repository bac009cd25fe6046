"""Shattering: whether gradients at inputs that are alike are still alike themselves.

S(c) = cos(J(x)ᵀu, J(x')ᵀu) for x' = c·x + √(1 − c²)·x⊥, x⊥ the part of another sample that is at right angles to x and
as long as it; c = 0.9 (1).  Plain rectifiers of depth L have ∏(1 − arccos(c_l)/π): .856, .497 and .119 at 1, 5 and 20.
Costs two forward and two backward passes; for examinations that are deep.  Source: Balduzzi et al. 2017
(arXiv 1702.08591).
"""

import math
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import torch_stream
from worker.probe.evidence import Shattering
from worker.probe.sweep import Sweep, sweep
from worker.subject import Subject

ALIKE: Final = 0.9


def measure_shattering(run: Sweep) -> Shattering | None:
    """Return S(0.9) of the network from input to output; None where the inputs hold no numbers or no second sample."""
    subject = run.subject
    inputs = subject.batch.inputs
    floats = [name for name, value in inputs.items() if value.is_floating_point() and value.dim() > 1]
    if not floats or len(floats) < len(inputs) or subject.batch.size < 2:  # noqa: PLR2004
        return None
    moved = subject.replace(batch=replace(subject.batch, inputs={name: _mixed(inputs[name]) for name in floats}))
    first, second = (_gradients(each) for each in (subject, moved))
    cosines = torch.nn.functional.cosine_similarity(first, second, dim=1)
    left = float(cosines.mean())
    return Shattering(ALIKE, left) if math.isfinite(left) else None


def _mixed(value: Tensor) -> Tensor:
    """Return samples whose correlation with these is `ALIKE`."""
    rows = value.detach().flatten(1).double()
    other = rows.roll(1, 0)
    length = rows.square().sum(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    aside = other - (other * rows).sum(1, keepdim=True) / length * rows
    unit = aside / aside.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    mixed: Tensor = ALIKE * rows + math.sqrt(1 - ALIKE**2) * unit * length.sqrt()
    return mixed.reshape(value.shape).to(value)


def _gradients(subject: Subject) -> Tensor:
    """Return the gradient at each sample's inputs of one random combination of its outputs, as rows."""
    run = sweep(subject)
    names = list(subject.batch.inputs)
    output = run.values[subject.output]
    drawn = torch.randn(output.shape[1:], generator=torch_stream(subject.seed, "shattering")).to(output)
    pulled = torch.autograd.grad(
        output, [run.values[name] for name in names], drawn.expand_as(output), allow_unused=True
    )
    rows = [each.flatten(1) for each in pulled if each is not None]
    return torch.cat(rows, 1).double() if rows else output.new_zeros(len(output), 1).double()
