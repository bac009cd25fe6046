"""The rows of each kernel: units that are all zero, and units that repeat another one, number by number.

Rows are told apart by a sum of their bits under fixed odd factors, modulo 2⁶⁴, so that rows that are equal, and in
practice no others, have equal sums.  A unit's bias is part of its row; channels of a grouped convolution are compared
within their group, since each group reads its own.  Cost: one pass over the weights.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from worker.network.layers import Layer
from worker.probe.evidence import Kernel
from worker.probe.path import Path
from worker.probe.sweep import Sweep

_ROWS: Final = 1024
"""Rows that are looked at together."""
_FEW: Final = 256
"""Most numbers of which a quantized kernel may be made."""
_SMALLEST: Final = 2
"""Units that a kernel needs for two to be compared."""


def measure_kernels(sweep: Sweep, layers: Sequence[Layer]) -> tuple[Kernel, ...]:
    """Return the rows of every kernel that has two units or more and is not zero altogether."""
    found = []
    for layer in layers:
        value = sweep.subject.graph.parameters[layer.kernel].value.detach().float()
        rows = unit_rows(value, layer)
        if len(rows) < _SMALLEST or not bool(rows.any()):
            continue
        found.append(_kernel(sweep, layer, value, rows))
    return tuple(found)


def unit_rows(value: Tensor, layer: Layer) -> Tensor:
    """Return a kernel, or its gradient, as one row per unit."""
    if layer.node.op == "Conv":
        return value.flatten(1)
    if layer.node.op == "ConvTranspose":
        return value.transpose(0, 1).flatten(1)
    if value.dim() == 1:
        return value.reshape(1, -1)
    return value.flatten(0, -2) if layer.transposed else value.flatten(0, -2).T


def _kernel(sweep: Sweep, layer: Layer, value: Tensor, rows: Tensor) -> Kernel:
    empty = ~rows.any(1)
    sums = _sums(_whole(sweep, layer, rows), _groups(layer, len(rows)))
    _, group, counts = torch.unique(sums[~empty], return_inverse=True, return_counts=True)
    copies = int((counts - 1).sum())
    return Kernel(
        name=layer.kernel,
        node=layer.node.name,
        units=len(rows),
        zeros=float(empty.double().mean()),
        copies=copies / len(rows),
        chance=_chance(value, rows),
        kept=copies > 0 and _kept(sweep, layer, ~empty, group),
        hidden=_hidden(sweep.path, layer),
        origin=layer.node.origin,
    )


def _whole(sweep: Sweep, layer: Layer, rows: Tensor) -> Tensor:
    """Return the rows with the bias of each unit behind them."""
    bias = sweep.subject.graph.parameters.get(layer.bias or "")
    if bias is None or bias.value.numel() != len(rows):
        return rows
    return torch.cat([rows, bias.value.detach().float().reshape(-1, 1).to(rows.device)], dim=1)


def _groups(layer: Layer, units: int) -> Tensor:
    """Return the group of each unit, by which rows differ too."""
    group = layer.node.attributes.get("group", 1)
    count = group if isinstance(group, int) and layer.node.op == "Conv" and group > 0 else 1
    return torch.arange(units) // max(units // count, 1)


def _sums(rows: Tensor, groups: Tensor) -> Tensor:
    """Return one whole number per row, the same for rows of the same numbers and group."""
    factors = torch.randint(-(2**62), 2**62, (rows.shape[1],), generator=torch.Generator().manual_seed(0)) * 2 + 1
    parts = [
        ((part.contiguous() + 0.0).view(torch.int32).long() * factors).sum(1) for part in torch.split(rows.cpu(), _ROWS)
    ]
    return torch.cat(parts) + groups * 0x9E3779B97F4A7C1


def _chance(value: Tensor, rows: Tensor) -> float:
    """Return the share of copies that rows of so few different numbers show by chance, drawn each as likely."""
    held = torch.unique(value.flatten()[: 2**20])
    if not 1 < len(held) <= _FEW:
        return 0.0
    possible = math.exp(min(rows.shape[1] * math.log(len(held)), 700.0))
    expected = -possible * math.expm1(len(rows) * math.log1p(-1 / possible))
    return 1 - min(expected / len(rows), 1.0)


def _kept(sweep: Sweep, layer: Layer, filled: Tensor, group: Tensor) -> bool:
    """Whether most rows that repeat another one also have its gradient."""
    gradient = sweep.gradients([layer.kernel]).get(layer.kernel)
    if gradient is None or not bool(gradient.any()):
        return False
    rows = unit_rows(gradient.detach().double(), layer)[filled]
    scale = rows.abs().amax(1)
    first = torch.full((int(group.max()) + 1,), len(rows), dtype=torch.long, device=rows.device)
    first.scatter_reduce_(0, group.to(rows.device), torch.arange(len(rows), device=rows.device), "amin")
    model = first[group.to(rows.device)]
    copy = model != torch.arange(len(rows), device=rows.device)
    same = (rows - rows[model]).abs().amax(1) <= 1e-6 * scale
    together = copy & same & (scale > 0)
    return bool(together.sum() * 2 > copy.sum())


def _hidden(path: Path, layer: Layer) -> bool:
    return path.depth[layer.node.outputs[0]] < path.depth[path.output]
