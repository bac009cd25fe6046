"""Every parameter: its scale, the gradient that reaches it, and, where none does, why.

A gradient of exactly zero is not yet a fault.  A float64 sweep tells what float32 only could not hold; a sweep in
which the all-zero parameters are jittered opens the branches that are shut by design (Fixup, ReZero, zero gamma); and
the graph tells which operators let none through.
"""

from typing import Final

import torch
from torch import Tensor

from worker.network.flow import cut_off, flow
from worker.network.graph import Node
from worker.network.layers import KERNELS
from worker.optimizers import Optimizer
from worker.probe.evidence import Cut, ParameterEvidence
from worker.probe.path import Path
from worker.probe.sweep import Sweep, sweep_double

JITTER: Final = 1e-3
TOLD: Final = 16
"""Most parameters of which it is told what cuts their gradient."""
NAMED: Final = 8
"""Most further nodes that are named of a shared parameter."""
_SAME: Final = 1e-6
"""Relative difference under which two float32 numbers count as equal."""


def measure_parameters(sweep: Sweep, optimizer: Optimizer) -> tuple[ParameterEvidence, ...]:
    """Return the evidence of every trainable parameter, in the order of the file."""
    path, graph = sweep.path, sweep.subject.graph
    trainable = [name for name, parameter in graph.parameters.items() if parameter.trainable]
    gradients = sweep.gradients(trainable)
    readers = _readers(path)
    silent = [name for name in trainable if name not in gradients or not bool(gradients[name].any())]
    cuts = _cuts(sweep, silent)
    states = _states(sweep, [name for name in silent if name in readers and name not in cuts])
    ratios = optimizer.first_update_ratios({name: graph.parameters[name].value for name in trainable}, gradients)
    found = []
    for name in trainable:
        own = list(graph.consumers(name)) if name in cuts else readers.get(name, [])
        node = next(iter(own), None) or next(graph.consumers(name), None)
        state = "cut" if name in cuts else states.get(name, "live" if name in readers else "unused")
        units, identical, symmetric = _sameness(sweep, name, next(iter(readers.get(name, ())), None))
        found.append(
            ParameterEvidence(
                name=name,
                node=node.name if node else "",
                op=node.op if node else "",
                count=graph.parameters[name].value.numel(),
                rms=_rms(graph.parameters[name].value),
                gradient_rms=_rms(gradients.get(name)),
                nonfinite=_nonfinite(gradients.get(name)),
                state=state,
                update_ratio=ratios.get(name),
                units=units,
                identical=identical,
                symmetric=symmetric,
                also=tuple(each.name for each in own[1 : 1 + NAMED]),
                blocked_at=_blocked_at(sweep, node) if state == "dead" and node else _first(cuts.get(name, ())),
                cuts=cuts.get(name, ()),
                origin=graph.parameters[name].origin or (node.origin if node else None),
            )
        )
    return tuple(found)


def _readers(path: Path) -> dict[str, list[Node]]:
    """Return the nodes of the path that each parameter reaches."""
    found: dict[str, list[Node]] = {}
    for node in path.nodes:
        for name in dict.fromkeys(path.weights[node.name]):
            found.setdefault(name, []).append(node)
    return found


def _cuts(sweep: Sweep, silent: list[str]) -> dict[str, tuple[Cut, ...]]:
    """Return what cuts the gradient of each silent parameter that moves the loss and that none can reach."""
    graph, output = sweep.subject.graph, sweep.subject.output
    apart = [name for name, value in sweep.values.items() if not getattr(value, "requires_grad", False)]
    lost = cut_off(graph, output, apart).intersection(silent) if silent else set()
    shown = [name for name in silent if name in lost][:TOLD]
    flows = {name: flow(graph, [name], apart).cuts(graph, output) for name in shown}
    return {
        name: tuple(Cut(cut.node, cut.op, cut.origin, cut.within) for cut in flows.get(name, ()))
        for name in silent
        if name in lost
    }


def _first(cuts: tuple[Cut, ...]) -> str | None:
    return cuts[0].node if cuts else None


def _states(sweep: Sweep, silent: list[str]) -> dict[str, str]:
    """Tell the parameters without gradient apart: `faint`, `gated` or `dead`."""
    states = dict.fromkeys(silent, "dead")
    for state, jitter in (("gated", JITTER), ("faint", 0.0)):
        again = sweep_double(sweep.subject, jitter) if silent else None
        reached = again.gradients(silent) if again else {}
        states |= {name: state for name, gradient in reached.items() if bool(gradient.any())}
    return states


def _sameness(sweep: Sweep, name: str, node: Node | None) -> tuple[int, bool, bool]:
    """Return a kernel's number of units, whether all compute the same, and whether they learn the same too."""
    if node is None or node.op not in KERNELS or name not in sweep.path.behind(node.inputs[1]):
        return 0, False, False
    output, kernel = sweep.values[node.outputs[0]].detach(), sweep.values[node.inputs[1]]
    channels = 1 if node.op in {"Conv", "ConvTranspose"} else output.dim() - 1
    units, axis = output.shape[channels], _unit_axis(node, kernel)
    copies = units > 1 and kernel.shape[axis] == units and bool(kernel.any())
    if not copies or not _alike(output, channels) or not _alike(kernel, axis):
        return units, False, False
    gradient = sweep.gradients([node.inputs[1]]).get(node.inputs[1])
    return units, True, gradient is None or _alike(gradient, axis)


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


def _blocked_at(sweep: Sweep, node: Node) -> str | None:
    """Return the first operator after `node`, in forward order, from which the gradient does come back."""
    path = sweep.path
    after = [later for later in path.nodes if later.outputs and later.outputs[0] in path.position]
    start = path.position.get(node.outputs[0], 0)
    names = [later.outputs[0] for later in after if path.position[later.outputs[0]] >= start]
    gradients = sweep.gradients(names)
    reached = (name for name in names if name in gradients and bool(gradients[name].any()))
    first = next(reached, None)
    return path.producers[first].name if first else None


def _rms(value: Tensor | None) -> float:
    return float(value.detach().double().square().mean().sqrt()) if value is not None and value.numel() else 0.0


def _nonfinite(value: Tensor | None) -> float:
    return float((~value.isfinite()).double().mean()) if value is not None and value.numel() else 0.0
