"""Kernels whose units all compute the same, and whether they learn the same too.

Two numbers are the same where they differ by less than 10⁻⁶ of the largest.  Costs no pass.
Source: Goodfellow et al. 2016, Deep Learning, section 8.4.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Node
from worker.network.layers import KERNELS
from worker.probe.moments import read
from worker.probe.opening import Opening
from worker.probe.sweep import Sweep

_SAME: Final = 1e-6
"""Relative difference under which two float32 numbers count as equal."""


def measure_sameness(
    sweep: Sweep, readers: Mapping[str, Sequence[Node]], opening: Opening
) -> dict[str, tuple[int, bool, bool]]:
    """Return each kernel's number of units, whether all compute the same, and whether they learn the same too."""
    chosen = dict(_kernels(sweep, readers))
    first = read([_parted(sweep.values[node.inputs[1]], axis) for node, _, axis in chosen.values()])
    found = {}
    for (name, (node, channels, axis)), apart in zip(chosen.items(), first, strict=True):
        units = sweep.values[node.outputs[0]].shape[channels]
        copies = units > 1 and sweep.values[node.inputs[1]].shape[axis] == units and not apart > _SAME
        found[name] = (units, *(_copies(sweep, name, node, (channels, axis), opening) if copies else (False, False)))
    return found


def _kernels(sweep: Sweep, readers: Mapping[str, Sequence[Node]]) -> Iterator[tuple[str, tuple[Node, int, int]]]:
    """Yield the kernels, with their first reader, and the axes of units in its output and in the kernel."""
    for name, nodes in readers.items():
        node = nodes[0]
        if node.op not in KERNELS or name not in sweep.path.behind(node.inputs[1]):
            continue
        channels = 1 if node.op in {"Conv", "ConvTranspose"} else sweep.values[node.outputs[0]].dim() - 1
        yield name, (node, channels, _unit_axis(node, sweep.values[node.inputs[1]]))


def _parted(kernel: Tensor, axis: int) -> Tensor:
    """Return how far the first two units lie apart, by their largest weights: a look that spares a thorough one."""
    kernel = kernel.detach()
    if kernel.shape[axis] < 2:  # noqa: PLR2004
        return torch.zeros((), device=kernel.device)
    one, other = kernel.select(axis, 0), kernel.select(axis, 1)
    scale = one.abs().max() + other.abs().max()
    return (one - other).abs().max() / scale.where(scale > 0, 1)


def _copies(sweep: Sweep, name: str, node: Node, axes: tuple[int, int], opening: Opening) -> tuple[bool, bool]:
    """Return whether all units of a kernel compute the same, and whether they learn the same too.

    Of weights that are all zero, which compute the same by nature, only those count that learn the same.
    """
    channels, axis = axes
    kernel = sweep.values[node.inputs[1]]
    if not _alike(kernel, axis) or not _alike(sweep.values[node.outputs[0]], channels):
        return False, False
    gradient = sweep.gradients([node.inputs[1]]).get(node.inputs[1])
    if bool(kernel.any()):
        return True, gradient is None or _alike(gradient, axis)
    if name in opening.states and node.inputs[1] == name:
        gradient = opening.gradients.get(name)
    alike = gradient is not None and bool(gradient.any()) and _alike(gradient, axis)
    return alike, alike


def _unit_axis(node: Node, weight: Tensor) -> int:
    """Return the axis of a weight that counts output units."""
    if node.op == "Conv":
        return 0
    if node.op == "Gemm":
        return 0 if node.attributes.get("transB", 0) else 1
    return 1 if node.op == "ConvTranspose" else weight.dim() - 1


def _alike(value: Tensor, axis: int) -> bool:
    """Whether all slices along `axis` are equal, to float32's precision."""
    value = value.detach().double()
    scale = float(value.abs().max())
    low, high = torch.aminmax(value, dim=axis)
    return bool(scale == 0 or float((high - low).max()) <= _SAME * scale)
