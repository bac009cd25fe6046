"""Batch norms: what their statistics are of, what stands before them, and what a plain stack of them does.

χ_BN = E[φ'²]/Var[φ] for a standard normal pre-activation is the factor by which one layer of batch norm and φ changes
a squared gradient where no skip leads around it, whatever the weights (Yang et al. 2019, arXiv 1902.08129); π/(π − 1)
for ReLU.  From the graph alone.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from service.contract.words import Mode
from worker.network.graph import Graph, Node, reads
from worker.network.layers import KERNELS, NONLINEAR, PLAIN, POOLS, Layer
from worker.probe.dropouts import dropped_share
from worker.probe.evidence import PlainNorm, Spot
from worker.probe.path import Path
from worker.probe.structure.gaussian import expectation, shape_of
from worker.probe.sweep import Sweep

NORM: Final = "BatchNormalization"
_DROPOUTS: Final = frozenset({"Dropout", "GaussianDropout"})
_STEPS: Final = 64
"""How far a dropout is followed."""


def plain_norms(sweep: Sweep) -> tuple[PlainNorm, ...]:
    """Return every batch norm on the path, where the subject is trained by the batch's statistics."""
    if sweep.subject.mode is not Mode.TRAIN:
        return ()
    found = []
    for node in sweep.path.nodes:
        if node.op == NORM:
            value = sweep.values[node.inputs[0]]
            numbers = value.numel() // max(value.shape[1], 1) if value.dim() > 1 else value.numel()
            found.append(PlainNorm(node.name, value.shape[0], numbers, node.origin))
    return tuple(found)


def dropped(sweep: Sweep) -> tuple[Spot, ...]:
    """Return the batch norms that read a dropout's output, past activations, pools and at most one weight layer."""
    path, held = sweep.path, {**sweep.subject.graph.constants, **sweep.values}
    found: dict[str, Spot] = {}
    for node in path.nodes:
        rate = dropped_share(node, held) if node.op in _DROPOUTS else 0.0
        norm = _norm_behind(path, node) if rate else None
        if norm is not None:
            found.setdefault(norm.name, Spot(norm.name, norm.op, norm.origin, rate, also=node.name))
    return tuple(found.values())


def repeating(path: Path) -> tuple[Spot, ...]:
    """Return the batch norms in the body of a loop, and those between two uses of one kernel."""
    inside = [
        Spot(node.name, each.op, node.origin)
        for node in path.graph.nodes
        for value in node.attributes.values()
        if isinstance(value, Graph)
        for each in value.nodes
        if each.op == NORM
    ]
    return (*inside, *(Spot(node.name, node.op, node.origin) for node in _between_uses(path)))


def bare(sweep: Sweep, layers: Sequence[Layer]) -> tuple[int, float]:
    """Return how many layers of batch norm and activation no skip leads around, and Σ ln χ_BN over them."""
    if sweep.subject.mode is not Mode.TRAIN:
        return 0, 0.0
    cuts = set(sweep.path.cuts())
    stacked = [
        layer
        for layer in layers
        if layer.norm is not None and layer.norm.op == NORM and layer.after is not None and layer.output in cuts
    ]
    gains = [_chi(layer.after) for layer in stacked if layer.after is not None]
    return len(stacked), sum(math.log(gain) for gain in gains)


def _chi(activation: Node) -> float:
    """Return χ_BN of an activation; 1 where its shape is not known."""
    shape = shape_of(activation)
    if shape is None:
        return 1.0
    mean = expectation(lambda z: shape(z)[0])
    variance = expectation(lambda z: shape(z)[0].square()) - mean**2
    return expectation(lambda z: shape(z)[1].square()) / variance if variance > 0 else 1.0


def _norm_behind(path: Path, start: Node) -> Node | None:
    """Return the batch norm that reads `start` next, perhaps past one weight layer; None where something else comes."""
    value, weights = start.outputs[0], 0
    for _ in range(_STEPS):
        readers = [node for node in path.nodes if value in node.inputs]
        if len(readers) != 1:
            return None
        (node,) = readers
        if node.op == NORM:
            return node
        weights += node.op in KERNELS
        biased = node.op == "Add" and len(path.members.intersection(node.inputs)) == 1
        if weights > 1 or not (biased or node.op in KERNELS | NONLINEAR | POOLS | PLAIN):
            return None
        value = node.outputs[0]
    return None


def _between_uses(path: Path) -> Iterator[Node]:
    """Yield the batch norms that one use of a kernel reaches and that reach another use of it."""
    uses: dict[str, list[Node]] = {}
    for node in path.nodes:
        for name in path.weights[node.name] if node.op in KERNELS else ():
            uses.setdefault(name, []).append(node)
    tied = [nodes for nodes in uses.values() if len(nodes) > 1]
    norms = [node for node in path.nodes if node.op == NORM]
    for norm in norms if tied else ():
        before, after = _ancestors(path, norm), _descendants(path, norm)
        if any(before & {each.name for each in nodes} and after & {each.name for each in nodes} for nodes in tied):
            yield norm


def _ancestors(path: Path, start: Node) -> set[str]:
    needed, found = set(reads(start)), set()
    for node in reversed(path.nodes):
        if needed.intersection(node.outputs):
            needed.update(reads(node))
            found.add(node.name)
    return found


def _descendants(path: Path, start: Node) -> set[str]:
    made, found = set(start.outputs), set()
    for node in path.nodes:
        if made.intersection(reads(node)):
            made.update(node.outputs)
            found.add(node.name)
    return found
