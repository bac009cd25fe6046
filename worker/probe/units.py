"""Dead and saturated units, against what chance alone would show.

Deep rectifier networks correlate their samples, so a healthy one of depth 20 has some 30% of its units off for a whole
batch of 64.  The null is the Gaussian orthant probability of equicorrelated pre-activations (Schoenholz et al. 2017
for the correlation, Lu et al. 2019, arXiv 1903.06733, for dying), P₀ = ∫φ(t) Φ((f − τt)/s)ᴮ dt: τ² is the variance of
units' means, s² that within a unit, f the end of the flat part.  A unit that chance turned off comes back with the next
batch; one whose mean lies four of its own standard deviations under f, and that no gradient reaches, does not.  The
dormant score is Sokar et al.'s 2023 (arXiv 2302.12902).  Shares have no unit; no pass of its own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from scipy.special import ndtr
from torch import Tensor

from worker.network.graph import Node
from worker.probe.evidence import Units
from worker.probe.sweep import Sweep
from worker.robust import NORMAL

FLOORS: Final = {
    "Relu": 0.0,
    "HardSwish": -3.0,
    "Elu": -6.91,
    "Selu": -6.91,
    "Celu": -6.91,
    "Softplus": -6.91,
    "Gelu": -3.9,
    "Swish": -9.12,
    "Mish": -9.12,
}
"""Pre-activation under which φ' is zero, or less than a thousandth of its largest."""
STEEP: Final = {"Tanh": 1.818, "Sigmoid": 3.637, "HardSigmoid": 2.5, "Softsign": 2.162}
"""|z| beyond which φ' is under a tenth of its maximum (HardSigmoid: zero)."""
STEEPEST: Final = {"Tanh": 1.0, "Sigmoid": 0.25, "HardSigmoid": 0.2, "Softsign": 1.0}
"""The largest φ'."""
MARGIN: Final = 4.0
"""Standard deviations under the floor from which a unit does not come back by itself."""
DORMANT: Final = 0.025
"""Share of the layer's mean |output| under which a unit is dormant (Sokar et al. 2023)."""
STUCK: Final = 0.95
"""Share of samples on the flat ends from which a unit counts as saturated for nearly all of them."""
_AXIS: Final = torch.linspace(-8, 8, 3201, dtype=torch.float64).numpy()
_DENSITY: Final = torch.exp(-torch.linspace(-8, 8, 3201, dtype=torch.float64).square() / 2).numpy()
_SMALLEST_SAMPLE: Final = 8


@dataclass(frozen=True)
class Flat:
    """An activation with a flat part, and where on the path it stands."""

    node: Node
    floor: float
    alone: bool
    """Whether activations with the same flat part are all that reads its pre-activation."""


def flats(sweep: Sweep) -> Iterator[Flat]:
    """Yield the activations of the path that are flat under a floor."""
    path = sweep.path
    readers: dict[str, list[str]] = {}
    for node in path.nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node.op)
    for node in path.nodes:
        before = node.inputs[0] if node.inputs else ""
        floor = _floor(node, sweep) if before in path.members else None
        if floor is not None and sweep.values[before].dim() >= 2:  # noqa: PLR2004  samples and units
            yield Flat(node, floor, alone=set(readers[before]) == {node.op})


def _floor(node: Node, sweep: Sweep) -> float | None:
    """Return the pre-activation at which the flat part ends; None where there is none."""
    if node.op == "ThresholdedRelu":
        return float(node.attributes.get("alpha", 1.0))  # type: ignore[arg-type]
    if node.op != "Clip":
        return FLOORS.get(node.op)
    low = node.attributes.get("min")
    if len(node.inputs) > 1 and node.inputs[1]:
        limit = sweep.values.get(node.inputs[1], sweep.path.graph.constants.get(node.inputs[1]))
        low = None if limit is None else float(limit)
    return 0.0 if isinstance(low, int | float) and low == 0 else None


def saturation(node: Node, before: Tensor, axis: int) -> tuple[Tensor, Tensor] | None:
    """Return two scalars: the share of pre-activations on the flat ends of φ, and of units that nearly always are.

    None where φ has no two flat ends.
    """
    limit = STEEP.get(node.op)
    if limit is None:
        return None
    z = before.detach()
    rest = [other for other in range(z.dim()) if other != axis % z.dim()]
    flat = torch.nn.functional.hardshrink(z, limit).sign_().abs_()
    each = flat.mean(rest) if rest else flat
    return each.mean(), (each >= STUCK).to(each.dtype).mean()


def unit_numbers(before: Tensor, axis: int, floor: float = 0.0, gradient: Tensor | None = None) -> Tensor:
    """Return what `units_of` reads, as one vector on the device of the pre-activations.

    `gradient` is that at the pre-activations, where more than the activation reads them.
    """
    z = before.detach()
    rest = [other for other in range(z.dim()) if other != axis % z.dim()]
    mean, power = z.mean(rest), z.square().mean(rest)
    within = (power - mean.square()).clamp_min(0)
    top = z.amax(rest)
    off = top <= floor
    silent = off if gradient is None else gradient.abs().amax(rest) == 0
    below = (mean < floor) & (floor - mean > MARGIN * within.sqrt())
    dormant = (z - floor).clamp_min(0).mean(rest)
    share = mean.dtype
    return torch.stack(
        [
            off.to(share).mean(),
            (off & silent & below).to(share).mean(),
            within.median(),
            mean.where(mean > 0, torch.nan).nanmedian().nan_to_num(0),
            (mean > 0).to(share).sum(),
            torch.maximum(top.abs().amax(), mean.abs().amax()),
            (dormant <= DORMANT * dormant.mean()).to(share).mean(),
            power.sum(),
        ]
    ).double()


def units_of(numbers: Sequence[float], count: int, samples: int, size: int, floor: float = 0.0) -> Units:
    """Return the evidence of a layer's units; `size` is how many numbers each has over the batch."""
    dead, hopeless, within, middle, positive, largest, dormant, _ = numbers
    between = (NORMAL * middle) ** 2 if positive >= _SMALLEST_SAMPLE else 0.0
    between = max(between - within / max(size, 1), 0.0)
    total = between + within
    correlation = between / total if total > 0 else 0.0
    shift = floor / math.sqrt(total) if total > 0 else 0.0
    expected = off_by_chance(correlation, samples, shift)
    lost = off_by_chance(correlation, samples, shift, MARGIN)
    return Units(
        count,
        dead,
        expected,
        dead - expected - _error(expected, count),
        samples,
        hopeless=hopeless,
        hopeless_excess=hopeless - lost - _error(lost, count),
        dormant=dormant,
        blank=largest == 0,
    )


def trusted(numbers: Sequence[float]) -> bool:
    """Whether float32 bore the squares that the numbers are made of."""
    within, largest, total = numbers[2], numbers[5], numbers[7]
    return math.isfinite(total) and (largest == 0 or within > 1e-30)  # noqa: PLR2004


def dead_units(before: Tensor, axis: int, floor: float = 0.0, gradient: Tensor | None = None) -> Units:
    """Return how many units are off for the whole batch, beside how many would be by chance."""
    count = before.shape[axis]
    numbers = unit_numbers(before, axis, floor, gradient).tolist()
    if not trusted(numbers):
        numbers = unit_numbers(before.double(), axis, floor, gradient).tolist()
    return units_of(numbers, count, len(before), before.numel() // max(count, 1), floor)


def measure_units(sweep: Sweep) -> dict[str, Units]:
    """Return the evidence of every activation with a flat part, by node; one synchronisation."""
    chosen = [flat for flat in flats(sweep) if sweep.values[flat.node.inputs[0]].numel()]
    gradients = sweep.gradients([flat.node.inputs[0] for flat in chosen if not flat.alone])
    asked = [_asked(flat, sweep, gradients.get(flat.node.inputs[0])) for flat in chosen]
    rows = torch.stack([unit_numbers(*each) for each in asked]).tolist() if asked else []
    found = {}
    for flat, (before, axis, floor, gradient), numbers in zip(chosen, asked, rows, strict=True):
        if trusted(numbers):
            count = before.shape[axis]
            found[flat.node.name] = units_of(numbers, count, len(before), before.numel() // count, floor)
        else:
            found[flat.node.name] = dead_units(before.double(), axis, floor, gradient)
    return found


def _asked(flat: Flat, sweep: Sweep, gradient: Tensor | None) -> tuple[Tensor, int, float, Tensor | None]:
    before = sweep.values[flat.node.inputs[0]]
    axis = sweep.path.feature_axis(flat.node.inputs[0], before.dim())
    return before.detach(), axis, flat.floor, None if flat.alone else gradient


def _error(share: float, count: int) -> float:
    """Return three standard errors of a share of this many units."""
    return 3 * math.sqrt(max(share * (1 - share), 1e-4) / max(count, 1))


def off_by_chance(correlation: float, samples: int, floor: float = 0.0, margin: float = -math.inf) -> float:
    """Return P₀(c, B) = ∫φ(t) Φ((f − t√c)/√(1−c))ᴮ dt: a unit is off for all B samples of correlation c.

    Pre-activations have variance 1 in all.  With `margin` only units count whose mean lies that many of their own
    standard deviations under the floor.
    """
    correlation = min(max(correlation, 0.0), 1 - 1e-9)
    distance = (floor - math.sqrt(correlation) * _AXIS) / math.sqrt(1 - correlation)
    off = ndtr(distance) ** samples * (distance > margin)
    return float((off * _DENSITY).sum() / _DENSITY.sum())
