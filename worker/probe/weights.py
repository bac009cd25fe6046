"""Every parameter: its scale, the gradient that reaches it, and, where none does, why.

A gradient of exactly zero is not yet a fault.  A float64 sweep tells what float32 only could not hold; sweeps after
the all-zero parameters took steps along their own gradients open the branches that are shut by design (Fixup, ReZero,
zero gamma) and none that no training would open; a sum that cancels tells a bias that a norm, a softmax or a
difference takes out again; and the graph tells which operators let none through.  Root mean squares have the weight's
and the gradient's unit.  Costs no pass of its own where every gradient arrives, else a float64 pass forward and back
for each of these questions.  Sources: Zhang et al. 2019 (Fixup), Bachlechner et al. 2020 (ReZero).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from worker.network.flow import cut_off, flow
from worker.network.graph import Node
from worker.network.layers import KERNELS
from worker.optimizers import Optimizer
from worker.probe.evidence import Cut, ParameterEvidence
from worker.probe.moments import Norm, norms
from worker.probe.opening import Opening
from worker.probe.sameness import measure_sameness
from worker.probe.sweep import Sweep

CANCELLED: Final = 1e-5
"""A bias's gradient by the norm of what it is summed of, under which the sum cancels but for rounding."""
TOLD: Final = 16
"""Most parameters of which it is told what cuts their gradient."""
NAMED: Final = 8
"""Most further nodes that are named of a shared parameter."""
_BIASED: Final = frozenset({"Gemm", "Conv", "ConvTranspose", "LayerNormalization", "BatchNormalization"})
_BIAS: Final = 2
"""The place of a bias among the inputs of those."""


def wanted(sweep: Sweep) -> list[str]:
    """Return the names of the parameters and values whose gradients are read here."""
    trainable = [name for name, parameter in sweep.subject.graph.parameters.items() if parameter.trainable]
    readers = sweep.path.readers
    kernels = {node.inputs[1] for each in readers.values() for node in each if node.op in KERNELS}
    sums = (value for name in trainable for value in _sums(sweep, name, readers))
    return [*trainable, *sums, *sorted(kernels & sweep.values.keys())]


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
    readers = path.readers
    silent = [
        name for name in trainable if name not in pulled or (pulled[name].norm == 0 and not pulled[name].nonfinite)
    ]
    cuts = _cuts(sweep, silent)
    useless = _useless(sweep, trainable, readers, pulled)
    known = {*cuts, *useless}
    opening = Opening(sweep, [name for name in silent if name in readers and name not in known])
    same = measure_sameness(sweep, readers, opening)
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
        if signal is None or signal not in path.producers or bool(sweep.values[signal].any()):
            return node
        node = path.producers[signal]
