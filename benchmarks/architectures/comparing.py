"""Outputs and gradients of one network in two forms, whatever an export did to the layout of its parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR = 1e-3
"""Gradients are compared relative to their tensor's largest, or this share of the network's largest if that is more:
a bias that a normalization cancels has a gradient of nothing but rounding."""


def gradients_of(outputs: Sequence[Tensor], leaves: Sequence[Tensor], cotangents: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient at each leaf; zeros where it takes no part."""
    found = torch.autograd.grad(outputs, leaves, cotangents, allow_unused=True, retain_graph=True) if leaves else ()
    return [torch.zeros_like(leaf) if each is None else each for leaf, each in zip(leaves, found, strict=True)]


@dataclass(frozen=True)
class Found:
    """The numbers that a graph's parameters hold, in order and each once, with the gradient there."""

    numbers: Tensor
    gradients: Tensor

    def at(self, numbers: Tensor) -> Tensor:
        """Return the gradient at these numbers; NaN where the graph does not hold one."""
        places = torch.searchsorted(self.numbers, numbers).clamp(max=len(self.numbers) - 1)
        return torch.where(self.numbers[places] == numbers, self.gradients[places], torch.nan)


def by_value(held: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> Found:
    """Return the gradient at each number that the graph's parameters hold, summed where they hold it repeatedly."""
    if not held:
        return Found(torch.zeros(1), torch.full((1,), torch.nan))
    values = torch.cat([each.detach().flatten() for each in held.values()])
    numbers, places = values.unique(return_inverse=True)
    given = torch.cat([gradients[key].flatten() for key in held])
    return Found(numbers, torch.zeros_like(numbers).index_add_(0, places, given))


def compared(parameters: Mapping[str, Tensor], wanted: Mapping[str, Tensor], found: Found) -> tuple[float, int, int]:
    """Return the largest relative error, how many numbers were matched, and how many were not."""
    largest = max(float(gradient.abs().max()) for gradient in wanted.values())
    largest_error, matched, unmatched = 0.0, 0, 0
    for name, parameter in parameters.items():
        mine = found.at(parameter.detach().flatten())
        there = mine.isfinite()
        matched, unmatched = matched + int(there.sum()), unmatched + int((~there).sum())
        theirs = wanted[name].flatten()
        if there.any():
            largest_error = max(
                largest_error, error_of(mine[there], theirs[there], max(float(theirs.abs().max()), FLOOR * largest))
            )
    return largest_error, matched, unmatched


def worst(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """Return the largest relative error among outputs."""
    return max(error_of(mine.detach(), other.detach()) for mine, other in zip(ours, theirs, strict=True))


def error_of(ours: Tensor, theirs: Tensor, scale: float | None = None) -> float:
    """Return the largest difference relative to the largest number, or to `scale`; infinite where shapes differ."""
    if ours.shape != theirs.shape:
        return float("inf")
    return float((ours - theirs).abs().max()) / ((float(theirs.abs().max()) if scale is None else scale) or 1.0)
