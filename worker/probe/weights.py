"""Every parameter: its scale, the gradient that reaches it, and, where none does, why.

A gradient of exactly zero is not yet a fault.  A float64 sweep tells what float32 only could not hold; sweeps after
the all-zero parameters took steps along their own gradients open the branches that are shut by design (Fixup, ReZero,
zero gamma) and none that no training would open; a sum that cancels tells a bias that a norm, a softmax or a
difference takes out again; and the graph tells which operators let none through.  Root mean squares have the weight's
and the gradient's unit.  Costs no pass of its own where every gradient arrives, else a float64 pass forward and back
for each of these questions.  Sources: Zhang et al. 2019 (Fixup), Bachlechner et al. 2020 (ReZero).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from worker.network.flow import cut_off, flow
from worker.network.graph import Node
from worker.network.layers import KERNELS
from worker.optimizers import Optimizer
from worker.probe.evidence import Cut, ParameterEvidence
from worker.probe.moments import Norm, norms, read
from worker.probe.path import Path
from worker.probe.sweep import Sweep, sweep_double

STEP: Final = 1e-3
"""Root mean square of a step that opens an all-zero parameter."""
ROUNDS: Final = 3
"""How many gates in a row are opened, one behind the other."""
CANCELLED: Final = 1e-5
"""A bias's gradient by the norm of what it is summed of, under which the sum cancels but for rounding."""
TOLD: Final = 16
"""Most parameters of which it is told what cuts their gradient."""
NAMED: Final = 8
"""Most further nodes that are named of a shared parameter."""
_BIASED: Final = frozenset({"Gemm", "Conv", "ConvTranspose", "LayerNormalization", "BatchNormalization"})
_BIAS: Final = 2
"""The place of a bias among the inputs of those."""
_SAME: Final = 1e-6
"""Relative difference under which two float32 numbers count as equal."""


def wanted(sweep: Sweep) -> list[str]:
    """Return the names of the parameters and values whose gradients are read here."""
    trainable = [name for name, parameter in sweep.subject.graph.parameters.items() if parameter.trainable]
    readers = _readers(sweep.path)
    kernels = [node.inputs[1] for each in readers.values() for node in each if node.op in KERNELS]
    return [*trainable, *(value for name in trainable for value in _sums(sweep, name, readers)), *kernels]


@dataclass(frozen=True)
class _Facts:
    """What is known of all parameters together."""

    readers: Mapping[str, Sequence[Node]]
    cuts: Mapping[str, tuple[Cut, ...]]
    states: Mapping[str, str]
    weights: Mapping[str, Norm]
    gradients: Mapping[str, Norm]
    ratios: Mapping[str, float]
    same: Mapping[str, tuple[int, bool, bool]]


def measure_parameters(sweep: Sweep, optimizer: Optimizer) -> tuple[ParameterEvidence, ...]:
    """Return the evidence of every trainable parameter, in the order of the file."""
    path, graph = sweep.path, sweep.subject.graph
    trainable = [name for name, parameter in graph.parameters.items() if parameter.trainable]
    gradients = sweep.gradients(trainable)
    values = {name: graph.parameters[name].value for name in trainable}
    weighed, pulled = norms(values), norms(gradients)
    readers = _readers(path)
    silent = [
        name for name in trainable if name not in pulled or (pulled[name].norm == 0 and not pulled[name].nonfinite)
    ]
    cuts = _cuts(sweep, silent)
    useless = _useless(sweep, trainable, readers, pulled)
    known = {*cuts, *useless}
    opening = _Opening(sweep, [name for name in silent if name in readers and name not in known])
    same = _sameness(sweep, readers, opening)
    facts = _Facts(
        readers,
        cuts,
        {**opening.states, **useless},
        weighed,
        pulled,
        optimizer.first_update_ratios(values, gradients),
        same,
    )
    return tuple(_evidence(sweep, name, facts) for name in trainable)


def _evidence(sweep: Sweep, name: str, facts: _Facts) -> ParameterEvidence:
    graph, cuts = sweep.subject.graph, facts.cuts.get(name, ())
    read_by = facts.readers.get(name, ())
    own = list(graph.consumers(name)) if cuts else read_by
    node = next(iter(own), None) or next(graph.consumers(name), None)
    state = "cut" if name in facts.cuts else facts.states.get(name, "live" if read_by else "unused")
    gradient, (units, identical, symmetric) = facts.gradients.get(name), facts.same.get(name, (0, False, False))
    return ParameterEvidence(
        name=name,
        node=node.name if node else "",
        op=node.op if node else "",
        count=graph.parameters[name].value.numel(),
        rms=facts.weights[name].rms,
        gradient_rms=gradient.rms if gradient else 0.0,
        nonfinite=gradient.nonfinite if gradient else 0.0,
        state=state,
        update_ratio=facts.ratios.get(name),
        units=units,
        identical=identical,
        symmetric=symmetric,
        also=tuple(each.name for each in own[1 : 1 + NAMED]),
        blocked_at=_blocked_at(sweep, node) if state == "dead" and node else _first(cuts),
        cuts=cuts,
        origin=graph.parameters[name].origin or (node.origin if node else None),
    )


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


class _Opening:
    """The parameters without gradient, told apart in float64: `faint`, `gated` or `dead`."""

    def __init__(self, sweep: Sweep, silent: list[str]) -> None:
        """Sweep again where there are any: as they are, then with all-zero parameters a step along their gradient."""
        self.states = dict.fromkeys(silent, "dead")
        self.gradients: dict[str, Tensor] = {}
        """Of parameters that are gated, once their gate is open."""
        self._subject = sweep.subject
        if silent:
            self._open()

    def _open(self) -> None:
        moved: dict[str, Tensor] = {}
        for opened in range(1 + ROUNDS):
            again = sweep_double(self._subject, moved)
            if again is None:
                return
            reached = again.gradients(again.parameters)
            self._name("gated" if opened else "faint", reached)
            new = {name: _step(value) for name, value in reached.items() if self._shut(name, moved) and value.any()}
            if not new or "dead" not in self.states.values():
                return
            moved |= new

    def _name(self, state: str, reached: Mapping[str, Tensor]) -> None:
        for name in [name for name, known in self.states.items() if known == "dead"]:
            if name in reached and bool(reached[name].any()):
                self.states[name] = state
                self.gradients[name] = reached[name]

    def _shut(self, name: str, moved: Mapping[str, Tensor]) -> bool:
        """Whether a parameter is all zero yet and training would change it."""
        parameter = self._subject.graph.parameters[name]
        return name not in moved and parameter.trainable and not bool(parameter.value.any())


def _step(gradient: Tensor) -> Tensor:
    """Return a step against a gradient, of a given root mean square; what is not finite stays where it is."""
    gradient = gradient.nan_to_num(0, 0, 0)
    largest = gradient.abs().max()
    if largest == 0:
        return gradient
    unit = gradient / largest
    return -STEP * unit / unit.square().mean().sqrt()


def _useless(
    sweep: Sweep, trainable: Sequence[str], readers: Mapping[str, Sequence[Node]], pulled: Mapping[str, Norm]
) -> dict[str, str]:
    """Return the biases whose gradient cancels: what is added to every sample is taken out again further on.

    The gradient of a bias is the sum of that at what it is added to.  Where the terms have nothing to do with each
    other, the two norms are about equal.
    """
    sums = {name: _sums(sweep, name, readers) for name in trainable}
    terms = norms(sweep.gradients(value for values in sums.values() for value in values))
    found = {}
    for name, values in sums.items():
        whole = sum(terms[value].norm ** 2 for value in values if value in terms) ** 0.5
        if values and name in pulled and not pulled[name].nonfinite and pulled[name].norm < CANCELLED * whole:
            found[name] = "useless"
    return found


def _sums(sweep: Sweep, name: str, readers: Mapping[str, Sequence[Node]]) -> list[str]:
    """Return the values that a parameter is a summand of and nothing else; none where it is read in another way too."""
    nodes = readers.get(name, ())
    size = sweep.subject.graph.parameters[name].value.numel()
    added = [node.outputs[0] for node in nodes if _adds(node, name)]
    fits = all(sweep.values[value].numel() > size for value in added)
    return added if len(added) == len(nodes) and fits else []


def _adds(node: Node, name: str) -> bool:
    place = node.inputs.index(name) if name in node.inputs else -1
    return place >= 0 and (node.op == "Add" or (node.op in _BIASED and place == _BIAS))


def _sameness(
    sweep: Sweep, readers: Mapping[str, Sequence[Node]], opening: _Opening
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


def _copies(sweep: Sweep, name: str, node: Node, axes: tuple[int, int], opening: _Opening) -> tuple[bool, bool]:
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


def _blocked_at(sweep: Sweep, node: Node) -> str | None:
    """Return the operator at which the gradient ends on its way to a weight that `node` reads.

    That is the first one behind the node from which a gradient comes back; where all that one reads is zero, the
    operator that made it so.
    """
    path = sweep.path
    start = path.position.get(node.outputs[0], 0)
    gradients = sweep.gradients(path.values)
    reached = (name for name in path.values[start:] if name in gradients and bool(gradients[name].any()))
    first = next(reached, None)
    if first is None or first not in path.producers:
        return None
    return _silenced(sweep, path.producers[first]).name


def _silenced(sweep: Sweep, node: Node) -> Node:
    """Return the first of the operators before `node` that write nothing but zeros; the node itself if none does."""
    path = sweep.path
    while True:
        signal = next((name for name in node.inputs if name in path.members), None)
        if signal not in path.producers or bool(sweep.values[signal].any()):
            return node
        node = path.producers[signal]
