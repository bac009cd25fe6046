"""Which tensors of an ONNX file are parameters.

The file does not say.  A float tensor (an initialiser, a `Constant`, or a `ConstantOfShape` of a constant shape) is a
parameter where it sits in a weight slot, or reaches one through operators that only rearrange or rescale it:

- weight and bias of Conv, ConvTranspose, Gemm; either operand of MatMul; any of Einsum;
- W, R, B and P of RNN, GRU, LSTM; scale and bias of a normalization; the slope of PRelu; the table of Gather;
- an operand of Add, Sub, Mul, Div, or a part of Concat, that has more than one element and meets an activation,
  which is a value that depends on a weight of the kinds above (so constants that prepare the input are none).
  A single element with an axis counts where it is added to a product of matrices (a bias), or is zero and multiplies an
  activation (the gate of a ReZero or SkipInit branch; no constant would be).

Not parameters: running statistics; tensors without an axis; masks (a value that is not finite, or is -10 000 or less,
or nothing but zeros and ones); zeros that are joined on; tables of cosines and sines (their squares add up to one);
the unit scale and zero shift of an InstanceNormalization after a reshape, which is how GroupNormalization is written;
and whatever feeds only shapes, Where, Clip, Pow, Resize and the like.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.contract.problem import TooComplex
from worker.load.tables import is_mask, turns
from worker.network.graph import Graph, Node, names

SLOTS: Mapping[str, Sequence[int]] = {
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "DeformConv": (1, 3),
    "Einsum": range(64),
    "GRU": (1, 2, 3),
    "Gather": (0,),
    "Gemm": (0, 1, 2),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3, 7),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
    "PRelu": (1,),
    "RMSNormalization": (1,),
    "RNN": (1, 2, 3),
}
"""Inputs that hold weights, whatever else the operator is given."""

MEETS = frozenset({"Add", "Concat", "Div", "Mul", "Sub"})
"""Operators whose other operand may be a weight."""

PASSES: Mapping[str, Sequence[int]] = {
    **dict.fromkeys(("Cast", "CastLike", "Expand", "Flatten", "Identity", "Pad", "Reshape", "Slice", "Split"), (0,)),
    **dict.fromkeys(("Squeeze", "Tile", "Transpose", "Unsqueeze", "Exp", "Neg", "Sqrt", "Tanh", "Sigmoid"), (0,)),
    **dict.fromkeys(("Softplus", "Softmax", "ReduceL2", "ReduceMean", "ReduceSum", "Reciprocal", "Pow"), (0,)),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), (0, 1)),
    "Concat": range(1 << 16),
}
"""Inputs through which a weight may reach its slot."""

READS: Mapping[str, int] = {"CastLike": 1, "ConstantOfShape": 0, "Expand": 1, "Shape": 0, "Size": 0}
"""How many inputs an operator takes numbers from, where that is not all: the others give it a type or a shape."""
SMALL = 2**20
LARGEST = 2**31
"""Most elements that a ConstantOfShape may write out to."""


@dataclass(frozen=True)
class _File:
    """A graph's constants, producers, and the values that depend on its inputs."""

    constants: Mapping[str, Tensor]
    producers: Mapping[str, Node]
    dynamic: frozenset[str]

    def leaves(self, name: str) -> Iterator[str]:
        """Yield the float tensors that a static value is made of by rearranging and rescaling."""
        pending, seen = [name], set()
        while pending:
            current = pending.pop()
            if current in seen or current in self.dynamic:
                continue
            seen.add(current)
            if self.held(current):
                yield from [current] if self.value(current).dim() else []
            elif (producer := self.producers.get(current)) is not None:
                pending += _at(producer.inputs, PASSES.get(producer.op, ()))

    def held(self, name: str) -> bool:
        """Whether a name is a float tensor of the file."""
        if name in self.constants:
            return self.constants[name].is_floating_point()
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


def parameters(graph: Graph) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the parameters of a graph whose tensors are all constants yet, by the rule above.

    Beside them, what its nodes fill with one float and is no parameter: running statistics, mostly.
    """
    nodes = list(_nodes(graph.nodes))
    file = _File(graph.constants, graph.producers(), _reached(nodes, {each.name for each in graph.inputs}))
    strong = {leaf for node in nodes for name in _slots(node, file) for leaf in file.leaves(name)}
    first = strong or {each.name for each in graph.inputs}
    active = _reached(nodes, first) & file.dynamic if strong else file.dynamic
    weak = {leaf for node in nodes if node.op in MEETS for leaf in _met(node, active, file)} - strong
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
    for node in nodes:
        yield node
        for value in node.attributes.values():
            if isinstance(value, Graph):
                yield from _nodes(value.nodes)


def _reached(nodes: Sequence[Node], start: set[str]) -> frozenset[str]:
    """Return the values that depend on those given, these included; shapes depend on nothing."""
    reached = set(start)
    for node in nodes:
        read = node.inputs[: READS.get(node.op)]
        if not reached.isdisjoint(read):
            reached.update(names(node.outputs))
        for value in node.attributes.values():
            if isinstance(value, Graph):
                reached.update(each.name for each in value.inputs)
    return frozenset(reached)


def _at(inputs: Sequence[str], places: Sequence[int]) -> list[str]:
    return [name for place, name in enumerate(inputs) if place in places and name]


def _slots(node: Node, file: _File) -> list[str]:
    found = _at(node.inputs, SLOTS.get(node.op, ())) if not node.domain else []
    return [] if node.op == "InstanceNormalization" and _writes_group_norm(node, file) else found


def _writes_group_norm(node: Node, file: _File) -> bool:
    source = file.producers.get(node.inputs[0])
    scale, shift = (set(file.leaves(name)) for name in node.inputs[1:3])
    units = all(bool((file.value(name) == 1).all()) for name in scale)
    zeros = all(bool((file.value(name) == 0).all()) for name in shift)
    return source is not None and source.op == "Reshape" and units and zeros


def _met(node: Node, active: frozenset[str], file: _File) -> Iterator[str]:
    """Yield the weights among the operands of a node, at least one of which is an activation."""
    if active.isdisjoint(node.inputs):
        return
    single = node.op == "Add" and any(_product(name, file) for name in node.inputs)
    for name in node.inputs:
        for leaf in file.leaves(name):
            value = file.value(leaf)
            large = value.numel() > 1 or (value.dim() == 1 and (single or _is_gate(node, value)))
            if large and not is_mask(value) and not (node.op == "Concat" and not value.any()):
                yield leaf


def _is_gate(node: Node, value: Tensor) -> bool:
    return node.op == "Mul" and not value.any()


def _product(name: str, file: _File) -> bool:
    producer = file.producers.get(name)
    return producer is not None and producer.op == "MatMul"
