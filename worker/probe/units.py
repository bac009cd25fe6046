"""Dead and saturated units, against what chance alone would show.

Deep rectifier networks correlate their samples, so a healthy one of depth 20 has some 30% of its units off for a whole
batch of 64.  The null is the Gaussian orthant probability of equicorrelated pre-activations.
"""

import math
from typing import Final

import torch
from scipy.integrate import simpson
from scipy.stats import norm
from torch import Tensor

from worker.network.graph import Node
from worker.network.ops import NEWEST, find
from worker.probe.evidence import Units

RECTIFIERS: Final = frozenset({"Relu", "Clip", "ThresholdedRelu"})
"""Activations that are flat, at zero, for every negative input."""
STEEP: Final = {"Tanh": 1.818, "Sigmoid": 3.637, "HardSigmoid": 2.5, "Softsign": 2.162}
"""|z| beyond which φ' is under a tenth of its maximum (HardSigmoid: zero)."""
_AXIS = torch.linspace(-8, 8, 801, dtype=torch.float64).numpy()
_SMALLEST_SAMPLE: Final = 8


def saturation(node: Node, before: Tensor) -> float | None:
    """Return the share of pre-activations on the flat parts of φ; None where φ has no two flat sides."""
    limit = STEEP.get(node.op)
    return None if limit is None else float((before.abs() > limit).double().mean())


def slope_power(node: Node, before: Tensor, *others: Tensor) -> float:
    """Return E[φ'(z)²] over pre-activations z: what the activation takes from the squared norm of a gradient.

    `others` are the node's further inputs, such as the limits of a Clip.  NaN where the operator is no function of z
    alone, such as a random one.  Costs a pass through this operator.
    """
    operator = find(node.domain, node.op, NEWEST)
    if operator is None or operator.contextual:
        return math.nan
    z = before.detach().clone().requires_grad_()
    after = operator.function(z, *others, **node.attributes)
    (slope,) = torch.autograd.grad(after.sum() if isinstance(after, Tensor) else after[0].sum(), z)  # type: ignore[union-attr]
    return float(slope.double().square().mean())


def dead_units(before: Tensor, axis: int) -> Units:
    """Return how many units are off for the whole batch, beside how many would be by chance."""
    rows = before.detach().double().movedim(axis, -1).flatten(1, -2) if before.dim() > 2 else before.detach().double()  # noqa: PLR2004
    rows = rows if rows.dim() == 3 else rows.unsqueeze(1)  # noqa: PLR2004  samples, positions, units
    samples, _, count = rows.shape
    flat = rows.flatten(0, 1)
    dead = float((flat <= 0).all(0).double().mean())
    expected = _expected(flat, samples)
    error = 3 * math.sqrt(max(expected * (1 - expected), 1e-4) / max(count, 1))
    return Units(count, dead, expected, dead - expected - error, samples)


def _expected(flat: Tensor, samples: int) -> float:
    """Return P₀, the chance that a unit is off in all samples, from the spread of unit means and within units.

    The spread of means is read off the positive side, since dying contaminates only the negative one.
    """
    means = flat.mean(0)
    within = float(flat.var(0, correction=0).median())
    positive = means[means > 0]
    between = (1.4826 * float(positive.median())) ** 2 if len(positive) >= _SMALLEST_SAMPLE else 0.0
    between = max(between - within / max(len(flat), 1), 0.0)
    share = between / (between + within) if within + between > 0 else 0.0
    return off_by_chance(share, samples)


def off_by_chance(correlation: float, samples: int) -> float:
    """Return P₀(c, B) = ∫φ(t) Φ(−t√(c/(1−c)))ᴮ dt: a unit is off for all B samples of correlation c."""
    correlation = min(max(correlation, 0.0), 1 - 1e-9)
    ratio = math.sqrt(correlation / (1 - correlation))
    return float(simpson(norm.pdf(_AXIS) * norm.cdf(-_AXIS * ratio) ** samples, x=_AXIS))
