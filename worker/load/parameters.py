"""Which tensors of an ONNX file are parameters.

torch's newer exporter lists them, and its buffers; that list is believed.  Other files do not say.  There a float
tensor (an initialiser, a `Constant`, or a `ConstantOfShape` of a constant shape) is a parameter where it sits in a
weight slot, or reaches one through operators that only rearrange, rescale or multiply it:

- weight and bias of Conv, ConvTranspose, Gemm; either operand of MatMul; any of Einsum; what onnxruntime's fused
  operators have of these;
- W, R, B and P of RNN, GRU, LSTM, and first states that are not zero; scale and bias of a normalization; the slope of
  PRelu; the table of Gather;
- an operand of Add, Sub, Mul, Div, Max, Min, or a part of Concat, that has more than one element and meets an
  activation, which is a value that depends on a weight of the kinds above (so constants that prepare the input are
  none).  An operand of Where counts only under a module's own name.  A single element counts under such a name, too (a
  temperature); under another it needs an axis, and to be added to a product of matrices (a bias), or to be zero and
  multiply an activation (the gate of a ReZero or SkipInit branch; no constant would be).

Not parameters: running statistics; in torch's files, what is no initialiser; masks (a value that is not finite, or is
-10 000 or less, or nothing but zeros and ones); zeros that are joined on, or that are multiplied by a weight (a first
state); zeros that torch's exporters made up and add (a mask that hides nothing), and ones that they multiply; tables
that a formula wrote: pairs of cosines and sines (their squares add up to one), grids of coordinates, and, outside of
weight slots, ladders of equal steps or ratios (positions, frequencies, slopes over distances); what is turned into both
a cosine and a sine (frequencies); the unit scale and zero shift of an InstanceNormalization after a reshape, which is
how GroupNormalization is written; and whatever feeds only shapes, exponents, limits and the like.

What cannot be told: a single number that an exporter computed from a parameter (the exponential of a temperature,
folded) looks like the constants of a formula and is none; a buffer of a module, in a file of torch's older exporter,
that looks like a weight and is used like one is taken for one; a parameter that was frozen (`requires_grad` false)
is written, and listed, as any other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.contract.problem import TooComplex
from worker.load.provenance import UNKNOWN, Provenance
from worker.load.slots import MEETS, PASSES, PRODUCTS, READS, STATES, at, slots
from worker.load.tables import is_mask, is_table, is_written_out, turns
from worker.network.dtypes import DIFFERENTIABLE
from worker.network.graph import Graph, Node, names, reads

SMALL = 2**20
LARGEST = 2**31
"""Most elements that a ConstantOfShape may write out to."""
WAVES = frozenset({"Cos", "Sin"})
DRAWN = frozenset({"BatchNormalization", "Conv", "ConvTranspose", "GRU", "InstanceNormalization", "LSTM", "RNN"})
"""Operators whose slots hold nothing that a formula writes."""


@dataclass(frozen=True)
class _File:
    """A graph's constants, producers, readers, and the values that depend on its inputs."""

    constants: Mapping[str, Tensor]
    producers: Mapping[str, Node]
    readers: Mapping[str, Sequence[Node]]
    dynamic: frozenset[str]
    known: Provenance

    def leaves(self, name: str) -> Iterator[str]:
        """Yield the float tensors that a static value is made of by rearranging, rescaling and multiplying."""
        pending: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
        seen = set()
        while pending:
            current, through = pending.pop()
            if current in seen or current in self.dynamic:
                continue
            seen.add(current)
            if self.held(current):
                yield from [current] if self._counts(current, through) else []
            elif (producer := self.producers.get(current)) is not None:
                further = through | {producer.op}
                pending += [(each, further) for each in at(producer.inputs, PASSES.get(producer.op, ()))]

    def _counts(self, name: str, through: frozenset[str]) -> bool:
        """Whether a tensor may be a weight, given the operators that it passes on its way to a slot."""
        if name in self.known.others or name in self.known.named:
            return name not in self.known.others
        value = self.value(name)
        factor = value.numel() == 1 and not through.isdisjoint(MEETS)
        return value.dim() > 0 and not factor and (through.isdisjoint(PRODUCTS) or bool(value.any()))

    def held(self, name: str) -> bool:
        """Whether a name is a float tensor of the file."""
        if name in self.constants:
            return self.constants[name].dtype in DIFFERENTIABLE
        return self.filled(name) is not None

    def filled(self, name: str) -> Tensor | None:
        """Return what a ConstantOfShape of a constant shape makes, as a view of one float; None for others."""
        node = self.producers.get(name)
        if node is None or node.op != "ConstantOfShape" or node.inputs[0] not in self.constants:
            return None
        fill = node.attributes.get("value")
        value = fill.reshape(-1)[0] if isinstance(fill, Tensor) else torch.zeros(())
        sizes = [int(size) for size in self.constants[node.inputs[0]].reshape(-1).tolist()]
        if torch.Size(sizes).numel() > LARGEST:
            msg = f"The tensor {name!r} has {torch.Size(sizes).numel()} elements; the limit is {LARGEST}."
            raise TooComplex(msg)
        return value.expand(sizes) if value.is_floating_point() else None

    def value(self, name: str) -> Tensor:
        """Return a float tensor of the file."""
        filled = self.filled(name) if name not in self.constants else None
        return self.constants[name] if filled is None else filled

    def turned(self, value: str) -> bool:
        """Whether a value ends in a cosine and a sine, and nowhere else."""
        ends: set[str] = set()
        pending, seen = [value], set()
        while pending:
            for node in self.readers.get(pending.pop(), ()):
                carries = node.op in PASSES and node.op not in PRODUCTS and node.outputs[0] not in seen
                seen.add(node.outputs[0])
                pending += [node.outputs[0]] if carries else []
                ends |= set() if node.op in PASSES else {node.op}
        return ends == WAVES


def parameters(graph: Graph, known: Provenance = UNKNOWN) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the parameters of a graph whose tensors are all constants yet, by the rule above.

    Beside them, what its nodes fill with one float and is no parameter: running statistics, mostly.
    """
    nodes = list(_nodes(graph.nodes))
    dynamic = _reached(nodes, {each.name for each in graph.inputs})
    file = _File(graph.constants, graph.producers(), _readers(nodes), dynamic, known)
    listed = {name for name in known.listed & graph.constants.keys() if name in file.readers and file.held(name)}
    strong = listed | {leaf for node in nodes for leaf in _strong(node, file)}
    first = strong or {each.name for each in graph.inputs}
    active = _reached(nodes, first) & dynamic if strong else dynamic
    weak = {leaf for node in nodes for leaf in (*_met(node, active, file), *_states(node, file))} - strong
    weak -= turns({name: file.value(name) for name in weak})
    chosen = sorted(strong | weak, key=_order(graph, nodes))
    written = {name: value for node in graph.nodes for name in node.outputs if (value := file.filled(name)) is not None}
    others = {name: value for name, value in written.items() if name not in strong | weak and value.numel() < SMALL}
    return {name: _written(file.value(name)) for name in chosen}, {
        name: _written(each) for name, each in others.items()
    }


def _order(graph: Graph, nodes: Sequence[Node]) -> Callable[[str], int]:
    in_order = [*graph.constants, *(name for node in nodes for name in node.outputs)]
    return {name: place for place, name in enumerate(in_order)}.__getitem__


def _written(value: Tensor) -> Tensor:
    return value.contiguous().clone() if 0 in value.stride() and value.numel() > 1 else value


def _nodes(nodes: Sequence[Node]) -> Iterator[Node]:
    """Yield nodes in an order in which they could run, those of a subgraph before the node that holds it."""
    for node in nodes:
        for graph in _subgraphs(node):
            yield from _nodes(graph.nodes)
        yield node


def _subgraphs(node: Node) -> Iterator[Graph]:
    return (value for value in node.attributes.values() if isinstance(value, Graph))


def _readers(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in nodes:
        for name in names(node.inputs):
            found.setdefault(name, []).append(node)
    return found


def _reached(nodes: Sequence[Node], start: set[str]) -> frozenset[str]:
    """Return the values that may depend on those given, these included; shapes depend on nothing."""
    reached = start | {each.name for node in nodes for graph in _subgraphs(node) for each in graph.inputs}
    for node in nodes:
        read = list(reads(node)) if any(_subgraphs(node)) else node.inputs[: READS.get(node.op)]
        if not reached.isdisjoint(read):
            reached.update(names(node.outputs))
    return frozenset(reached)


def _strong(node: Node, file: _File) -> Iterator[str]:
    """Yield the weights in the slots of a node, unless it only prepares a weight for another."""
    product = node.op in PRODUCTS
    if product and node.outputs[0] not in file.dynamic:
        return
    if (node.op == "InstanceNormalization" and _writes_group_norm(node, file)) or (
        product and file.turned(node.outputs[0])
    ):
        return
    for name in slots(node):
        for leaf in file.leaves(name):
            if node.op in DRAWN or leaf in file.known.listed or not is_table(file.value(leaf)):
                yield leaf


def _writes_group_norm(node: Node, file: _File) -> bool:
    source = file.producers.get(node.inputs[0])
    scale, shift = (set(file.leaves(name)) for name in node.inputs[1:3])
    units = all(bool((file.value(name) == 1).all()) for name in scale)
    zeros = all(bool((file.value(name) == 0).all()) for name in shift)
    return source is not None and source.op == "Reshape" and units and zeros


def _states(node: Node, file: _File) -> Iterator[str]:
    """Yield the learnt first states of a recurrent node."""
    for name in at(node.inputs, STATES.get(node.op, ())):
        yield from (leaf for leaf in file.leaves(name) if leaf in file.known.named or file.value(leaf).any())


def _met(node: Node, active: frozenset[str], file: _File) -> Iterator[str]:
    """Yield the weights among the operands of a node, at least one of which is an activation."""
    if node.op not in MEETS or active.isdisjoint(node.inputs):
        return
    single = node.op == "Add" and any(_product(name, file) for name in node.inputs)
    for name in node.inputs:
        for leaf in file.leaves(name):
            value, named = file.value(leaf), leaf in file.known.named
            large = value.numel() > 1 or named or (value.dim() > 0 and (single or _is_gate(node, value)))
            if large and not _is_constant(value) and (named or not _does_nothing(node, value, torch=file.known.torch)):
                yield leaf


def _does_nothing(node: Node, value: Tensor, *, torch: bool) -> bool:
    """Whether an operand under a name of the exporter's own fills a gap, or would change nothing."""
    filled = node.op == "Where" or (node.op == "Concat" and not value.any())
    zeros, ones = node.op in {"Add", "Sub"} and not value.any(), node.op in {"Mul", "Div"} and bool((value == 1).all())
    return filled or (torch and (zeros or ones))


def _is_constant(value: Tensor) -> bool:
    return is_mask(value) or is_written_out(value)


def _is_gate(node: Node, value: Tensor) -> bool:
    return node.op == "Mul" and not value.any()


def _product(name: str, file: _File) -> bool:
    producer = file.producers.get(name)
    return producer is not None and producer.op == "MatMul"
