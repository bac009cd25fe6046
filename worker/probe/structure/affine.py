"""Where a network is affine in its input: weight layers that nothing nonlinear parts, activations that repeat.

One walk over the path, no pass.  A value is *bent* where something nonlinear lies between the input and it.  Batch
norms count as affine, which they are in evaluation; so do pools that average.  Whatever is not known to be affine
bends (max-pools, products of two values, recurrent operators, attention), so that the doubt is the network's gain; so
does quantization, whose lower limit exporters let stand for a ReLU.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Final

from worker.head import LAYOUT
from worker.network.flow import VALUELESS
from worker.network.graph import Node, reads
from worker.network.layers import KERNELS, NONLINEAR, PLAIN, ROUNDED, Layer
from worker.probe.evidence import Spot
from worker.probe.path import Path

_SUMS: Final = frozenset({"Add", "Sub", "Sum", "Concat", "Mean"})
_AFFINE: Final = (
    (PLAIN - ROUNDED)
    | frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "BatchNormalization", "Neg", "Pad"})
    | frozenset({"Slice", "Split", "Expand", "Tile", "Gather", "DepthToSpace", "SpaceToDepth"})
    | frozenset({"StopGradient", "Einsum"})
)
"""What keeps affine whatever it reads as its only value of the path."""
_SCALED: Final = frozenset({"Mul", "Div"})
_HEADS: Final = NONLINEAR | {"Softmax", "LogSoftmax"}
_SAME: Final = frozenset({"Relu", "Tanh", "Sigmoid", "Softplus", "Elu", "Selu", "LeakyRelu", "PRelu", "Celu", "Gelu"})
_SQUASH: Final = frozenset({"Tanh", "Sigmoid", "HardSigmoid", "Softsign"})


@dataclass
class Flatness:
    """What the walk finds."""

    linear: bool = False
    factored: bool = False
    unbent: tuple[Spot, ...] = ()
    repeated: tuple[Spot, ...] = ()


@dataclass
class _Walk:
    path: Path
    layers: dict[str, Layer]
    bent: set[str] = field(default_factory=set)
    last: dict[str, Layer] = field(default_factory=dict)
    """Per value, the weight layer whose output it is, moved or scaled at most, read by one operator at a time."""
    pairs: list[tuple[Layer, Layer]] = field(default_factory=list)

    def take(self, node: Node) -> None:
        """Say of what a node writes whether it is bent, and which layer's output it is."""
        read = list(dict.fromkeys(reads(node)))
        given = [value for value in read if value in self.path.members]
        written = self.path.members.intersection(node.outputs)
        aside = given and self._signal.intersection(read).difference(given)
        if aside or not _affine(node, given) or self.bent.intersection(given):
            self.bent |= written
        layer = self.layers.get(node.name)
        before = self.last.get(given[0]) if len(given) == 1 and _affine(node, given) else None
        if layer is not None and before is not None and self._readers[given[0]] == 1:
            self.pairs.append((before, layer))
        kept = layer or (before if before is not None and self._readers[given[0]] == 1 else None)
        if kept is not None:
            self.last.update(dict.fromkeys(written, kept))

    @cached_property
    def _signal(self) -> set[str]:
        """What depends on the batch's numbers, also where no gradient comes back: roundings, choices, masks."""
        found = {given.name for given in self.path.graph.inputs}
        for node in self.path.graph.nodes:
            if node.op not in VALUELESS and found.intersection(reads(node)):
                found.update(node.outputs)
        return found

    @cached_property
    def _readers(self) -> Counter[str]:
        return Counter(value for node in self.path.nodes for value in set(reads(node)))


def flatness(path: Path, layers: Sequence[Layer]) -> Flatness:
    """Return whether the network is linear, and which layers and activations follow one another for nothing."""
    walk = _Walk(path, {layer.node.name: layer for layer in layers})
    for node in path.nodes:
        walk.take(node)
    sizes = {layer.node.name: _sizes(path, layer) for layer in layers}
    hidden = [sizes[layer.node.name] for layer in layers]
    narrow = [before[1] < min(before[0], after[1]) for before, after in pairwise(hidden)]
    return Flatness(
        linear=_before_head(path) not in walk.bent,
        factored=bool(narrow) and all(narrow),
        unbent=tuple(
            Spot(second.node.name, second.node.op, second.node.origin, also=first.node.name)
            for first, second in walk.pairs
            if _redundant(path, first, second)
        ),
        repeated=_repeated(path),
    )


def _affine(node: Node, given: Sequence[str]) -> bool:
    """Whether what a node writes is affine in what it reads of the path, all together."""
    if node.op in _SUMS:
        return True
    if not given:
        return True
    if len(given) > 1:
        return False
    if node.op == "Gather":
        return node.inputs[0] == given[0]
    if node.op in _SCALED:
        return node.op == "Mul" or node.inputs[0] == given[0]
    return node.op in _AFFINE | KERNELS


def _before_head(path: Path) -> str:
    """Return the value before the activation that the network ends in, if it ends in one."""
    value, node = path.output, path.producers.get(path.output)
    while node is not None and node.op in LAYOUT | {"Transpose"}:
        value, node = node.inputs[0], path.producers.get(node.inputs[0])
    return node.inputs[0] if node is not None and node.op in _HEADS else value


def _redundant(path: Path, first: Layer, second: Layer) -> bool:
    """Whether two layers in a row are no factorization of a larger one: bottlenecks, separable windows, upsampling."""
    (into, between), (_, out) = _sizes(path, first), _sizes(path, second)
    ops = {first.node.op, second.node.op}
    groups = {each.node.attributes.get("group", 1) for each in (first, second)}
    one, other = (tuple(path.graph.parameters[each.kernel].value.shape[2:]) for each in (first, second))
    parted = "Conv" in ops and one != other
    return between >= min(into, out) and groups == {1} and "ConvTranspose" not in ops and not parted


def _sizes(path: Path, layer: Layer) -> tuple[int, int]:
    """Return how many units, or channels, a layer reads, and how many it has."""
    shape = tuple(path.graph.parameters[layer.kernel].value.shape)
    if layer.node.op == "Conv":
        return shape[1], shape[0]
    if layer.node.op == "ConvTranspose":
        return shape[0], shape[1]
    if len(shape) == 1:
        return shape[0], 1
    return (shape[-1], shape[-2]) if layer.transposed else (shape[-2], shape[-1])


def _repeated(path: Path) -> tuple[Spot, ...]:
    found = []
    for node in path.nodes:
        if node.op not in _SAME | _SQUASH:
            continue
        before = path.producers.get(node.inputs[0])
        while before is not None and before.op in PLAIN:
            before = path.producers.get(before.inputs[0])
        if before is not None and _for_nothing(before, node):
            found.append(Spot(node.name, node.op, node.origin, also=before.name))
    return tuple(found)


def _for_nothing(first: Node, second: Node) -> bool:
    """Whether an activation right behind another is one too many."""
    return (first.op == second.op and first.op in _SAME) or {first.op, second.op} <= _SQUASH
