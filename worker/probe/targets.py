"""The target: what it holds, whether inputs that come again have it again, and whether an input gives it away.

No pass.  Twins are found by hashing each sample's bytes, on at most 4096 samples.  The floor is the least loss of any
function of the inputs by the least of a constant one: the conditional entropy H(target | input) by the entropy, or the
variance within groups of equal inputs by the variance (Cover and Thomas 2006, section 2.2; law of total variance).
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

import torch
from torch import Tensor

from worker.loss import BINARY, CLASSES, class_axis, counted
from worker.probe.evidence import TargetEvidence
from worker.probe.sweep import Sweep

MOST_SAMPLES: Final = 4096


def measure_target(sweep: Sweep) -> TargetEvidence | None:
    """Return what the target holds; None where it was drawn, or where it holds what is no number."""
    subject = sweep.subject
    target, output = subject.target.detach(), sweep.values[subject.output]
    if subject.batch.drawn_target or not target.numel() or not bool(target.isfinite().all()):
        return None
    named = subject.loss.name in CLASSES
    counts = _counts(target, output, subject.loss.axis) if named else torch.zeros(0)
    numbers = target.double()
    groups = _groups(subject.batch.inputs, len(target)) if target.dim() else None
    contradicting, floor = _twins(groups, target, whole=not target.is_floating_point()) if groups else (0.0, 0.0)
    return TargetEvidence(
        samples=len(target) if target.dim() else 1,
        distinct=len(groups) if groups else len(target) if target.dim() else 1,
        count=int(counts.sum()) if named else target.numel(),
        mean=0.0 if named else float(numbers.mean()),
        std=0.0 if named else float(numbers.std(correction=0)),
        classes=len(counts),
        missing=int((counts == 0).sum()),
        dominant=_dominant(counts) if named else _more_frequent(numbers, binary=subject.loss.name in BINARY),
        contradicting=contradicting,
        floor=floor,
        leak=_leak(subject.batch.inputs, target),
    )


def _counts(target: Tensor, output: Tensor, axis: int | None) -> Tensor:
    """Return how often each class of the output is meant; shares of several add up."""
    if target.is_floating_point():
        place = class_axis(target) if axis is None else axis
        return target.double().movedim(place, -1).flatten(0, -2).sum(0)
    place = 1 if output.shape[:1] + output.shape[2:] == target.shape else -1
    return torch.bincount(counted(target), minlength=output.shape[place]).double()


def _dominant(counts: Tensor) -> float:
    total = float(counts.sum())
    return float(counts.max()) / total if total else 0.0


def _more_frequent(numbers: Tensor, *, binary: bool) -> float:
    """Return the share of the more frequent of two answers; 0 where answers are not 0 and 1."""
    if not binary or not bool(((numbers == 0) | (numbers == 1)).all()):
        return 0.0
    share = float(numbers.mean())
    return max(share, 1 - share)


def _groups(inputs: Mapping[str, Tensor], samples: int) -> list[list[int]] | None:
    """Return the samples with the same inputs, group by group; None where there are too many to compare."""
    rows = [value.detach().cpu().contiguous() for value in inputs.values() if value.dim() and len(value) == samples]
    if not rows or samples > MOST_SAMPLES:
        return None
    found: dict[tuple[bytes, ...], list[int]] = {}
    for index in range(samples):
        key = tuple(blake2b(row[index].reshape(-1).view(torch.uint8).numpy().tobytes()).digest() for row in rows)
        found.setdefault(key, []).append(index)
    return list(found.values())


def _twins(groups: Sequence[Sequence[int]], target: Tensor, *, whole: bool) -> tuple[float, float]:
    """Return the share of samples whose twins have another target, and the floor that this puts under the loss."""
    rows = target.reshape(len(target), -1)
    differing = sum(len(group) for group in groups if bool((rows[list(group)] != rows[group[0]]).any()))
    if not differing:
        return 0.0, 0.0
    lost = sum(_spread(rows[list(group)], whole=whole) for group in groups)
    at_most = _spread(rows, whole=whole)
    return differing / len(target), lost / at_most if at_most > 0 else 0.0


def _spread(rows: Tensor, *, whole: bool) -> float:
    """Return how much of the rows a constant cannot say: their entropy, or their squared distance to the mean."""
    if not whole:
        return float((rows.double() - rows.double().mean(0)).square().sum())
    entropy = 0.0
    for column in rows.T:
        share = column.unique(return_counts=True)[1].double() / len(column)
        entropy += float(torch.special.entr(share).sum()) * len(column)
    return entropy


def _leak(inputs: Mapping[str, Tensor], target: Tensor) -> tuple[str, int] | None:
    """Return the column of a table of inputs that holds the target."""
    wanted = target.reshape(len(target), -1) if target.dim() else target.reshape(1, 1)
    if wanted.shape[1] != 1 or bool((wanted == wanted[:1]).all()):
        return None
    for name, value in inputs.items():
        if value.dim() == 2 and value.shape[1] > 1 and len(value) == len(wanted):  # noqa: PLR2004  a table
            same = (value.detach().double() == wanted.double()).all(0).nonzero()
            if len(same):
                return name, int(same[0])
    return None
