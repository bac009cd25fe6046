"""The rows of each kernel: units that are all zero, and units that repeat another one, number by number.

Rows are told apart by a sum of their bits under fixed odd factors, modulo 2⁶⁴, so that rows that are equal, and in
practice no others, have equal sums; first by a few of their columns, and only those that agree there by all.  A unit's
bias is part of its row; channels of a grouped convolution are compared within their group, since each group reads its
own.  Cost: a look at 64 columns of every kernel, and one pass over those that seem to hold copies.
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
_COLUMNS: Final = 64
"""Columns by which rows are told apart at first."""
_FEW: Final = 256
"""Most numbers of which a quantized kernel may be made."""
_SMALLEST: Final = 2
"""Units that a kernel needs for two to be compared."""


def measure_kernels(sweep: Sweep, layers: Sequence[Layer]) -> tuple[Kernel, ...]:
    """Return the rows of every kernel that has two units or more and is not zero altogether."""
    found = []
    for layer in layers:
        value = sweep.subject.graph.parameters[layer.kernel].value.detach()
        rows = unit_rows(value, layer)
        if len(rows) >= _SMALLEST and (kernel := _kernel(sweep, layer, rows)) is not None:
            found.append(kernel)
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


def _kernel(sweep: Sweep, layer: Layer, rows: Tensor) -> Kernel | None:
    """Return what a kernel's rows show; None of one that is zero altogether."""
    empty = _empty(rows)
    if bool(empty.all()):
        return None
    groups = _groups(sweep, layer, rows)
    model = torch.arange(len(rows)) if groups is None else _models(groups, ~empty)
    copies = int((model != torch.arange(len(rows))).sum())
    return Kernel(
        name=layer.kernel,
        node=layer.node.name,
        units=len(rows),
        zeros=float(empty.double().mean()),
        copies=copies / len(rows),
        chance=_chance(rows) if copies else 0.0,
        kept=copies > 0 and _kept(sweep, layer, model),
        hidden=_hidden(sweep.path, layer),
        origin=layer.node.origin,
    )


def _empty(rows: Tensor) -> Tensor:
    """Return which rows are zero; most are told by a few columns not to be."""
    empty = ~rows[:, :_COLUMNS].any(1).cpu()
    if bool(empty.any()):
        empty[empty.clone()] = ~rows[empty.to(rows.device)].any(1).cpu()
    return empty


def _groups(sweep: Sweep, layer: Layer, rows: Tensor) -> Tensor | None:
    """Return one whole number per row, equal where rows are; None where no two are."""
    inside, bias = _channel_groups(layer, len(rows)), _bias(sweep, layer, len(rows))
    first = _sums(rows[:, :_COLUMNS], inside, bias)
    if len(torch.unique(first)) == len(first):
        return None
    return _sums(rows, inside, bias)


def _bias(sweep: Sweep, layer: Layer, units: int) -> Tensor:
    """Return the bias of each unit; zeros where there is none."""
    bias = sweep.subject.graph.parameters.get(layer.bias or "")
    if bias is None or bias.value.numel() != units:
        return torch.zeros(units)
    return bias.value.detach().float().flatten().cpu()


def _channel_groups(layer: Layer, units: int) -> Tensor:
    """Return the group of each unit, by which rows differ too."""
    group = layer.node.attributes.get("group", 1)
    count = group if isinstance(group, int) and layer.node.op == "Conv" and group > 0 else 1
    return torch.arange(units) // max(units // count, 1)


def _sums(rows: Tensor, groups: Tensor, bias: Tensor) -> Tensor:
    """Return one whole number per row, the same for rows of the same numbers, group and bias."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(-(2**62), 2**62, (rows.shape[1] + 1,), generator=generator) * 2 + 1
    parts = [(_bits(part.cpu()) * factors[1:]).sum(1) for part in torch.split(rows, _ROWS)]
    return torch.cat(parts) + _bits(bias) * factors[0] + groups * 0x9E3779B97F4A7C1


def _bits(values: Tensor) -> Tensor:
    """Return numbers as the whole numbers that their float32 bits are; -0 is 0."""
    return (values.float().contiguous() + 0.0).view(torch.int32).long()


def _models(sums: Tensor, filled: Tensor) -> Tensor:
    """Return for each row the first that is equal to it; itself where it is the first, or empty."""
    rows = torch.arange(len(sums))
    _, group = torch.unique(sums, return_inverse=True)
    first = torch.full((len(sums),), len(sums)).scatter_reduce_(0, group, rows, "amin")
    return torch.where(filled, first[group], rows)


def _chance(rows: Tensor) -> float:
    """Return the share of copies that rows of so few different numbers show by chance, drawn each as likely."""
    held = torch.unique(rows[:_ROWS, : 4 * _COLUMNS])
    if not 1 < len(held) <= _FEW:
        return 0.0
    possible = math.exp(min(rows.shape[1] * math.log(len(held)), 700.0))
    expected = -possible * math.expm1(len(rows) * math.log1p(-1 / possible))
    return 1 - min(expected / len(rows), 1.0)


def _kept(sweep: Sweep, layer: Layer, model: Tensor) -> bool:
    """Whether most rows that repeat another one also have its gradient."""
    gradient = sweep.gradients([layer.kernel]).get(layer.kernel)
    if gradient is None or not bool(gradient.any()):
        return False
    copies = torch.nonzero(model != torch.arange(len(model))).flatten()
    copies, rows = copies.to(gradient.device), unit_rows(gradient.detach(), layer)
    scale = rows[copies].abs().amax(1)
    apart = (rows[copies] - rows[model.to(rows.device)[copies]]).abs().amax(1)
    return bool(((apart <= 1e-6 * scale) & (scale > 0)).sum() * 2 > len(copies))


def _hidden(path: Path, layer: Layer) -> bool:
    return path.depth[layer.node.outputs[0]] < path.depth[path.output]
