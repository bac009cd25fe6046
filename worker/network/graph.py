"""The graph: ONNX's operators between named values, with the parameters that training changes.

A graph is frozen.  Whoever changes one (a treatment, a loader) makes another with `replace`; nodes and tensors are
shared, so a copy costs nothing until something in it differs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeAlias, Union

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TypeProto
from torch import Tensor

from worker.network.streams import Stream

Text: TypeAlias = NDArray[np.object_]
"""A tensor of text."""

Attribute: TypeAlias = Union[
    int, float, str, Tensor, Text, tuple[int, ...], tuple[float, ...], tuple[str, ...], "Graph", TypeProto
]
"""An attribute's value; tensors, graphs and types included."""

Law: TypeAlias = Callable[[Stream], Tensor]
"""Draws a parameter's values (float32, on the CPU) from a seeded stream."""


@dataclass(frozen=True)
class Node:
    """One operator, with the names of the values it reads and writes."""

    op: str
    """The operator's name in its domain, such as `Gemm`."""
    inputs: tuple[str, ...]
    """Names of values in the specification's order; "" where an optional one is absent."""
    outputs: tuple[str, ...]
    name: str = ""
    """Unique in its graph; the caller's own where the caller gave one."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    domain: str = ""
    """"" is ai.onnx."""
    origin: str | None = None
    """The layer of the caller's file that this node was lowered from, such as `layers/3 "fc1" (dense)`.

    In a file of torch's newer exporter, the module that it was written for, such as `layer1.0.conv1 (Conv2d)`.
    """


@dataclass(frozen=True)
class Input:
    """A value that the caller feeds."""

    name: str
    dtype: torch.dtype
    shape: tuple[int | str, ...]
    """Sizes; a name (or "?") where the batch chooses."""
    classes: int | None = None
    """For an integer input that indexes a table: the table's length."""
    form: Literal["tensor", "text", "sequence", "optional", "any"] = "tensor"
    """What the value is; only a tensor's type and shape are known, and only tensors are examined."""
    ranked: bool = True
    """Whether `shape` is known; otherwise it is empty, and the batch decides how many axes there are."""


@dataclass(frozen=True)
class Penalty:
    """What a weight adds to the loss in training: l1 · Σ|w| + l2 · Σw² + `rows` or `columns` · their mean |cosine|."""

    l1: float = 0.0
    l2: float = 0.0
    rows: float = 0.0
    """Weighs how far the rows of a matrix are from orthogonal: the mean of |cosine| over all pairs of them."""
    columns: float = 0.0

    def __call__(self, weight: Tensor) -> Tensor:
        """Return what this weight adds."""
        added = self.l1 * weight.abs().sum() + self.l2 * weight.square().sum()
        if self.rows:
            added = added + self.rows * _aslant(weight)
        return added + self.columns * _aslant(weight.T) if self.columns else added


def _aslant(matrix: Tensor) -> Tensor:
    """Return the mean of |cosine| over all pairs of rows; 0 where there is one row."""
    unit = torch.nn.functional.normalize(matrix, dim=1)
    pairs = len(unit) * (len(unit) - 1) / 2
    return (unit @ unit.T).abs().triu(1).sum() / max(pairs, 1)


@dataclass(frozen=True)
class Parameter:
    """A tensor that training changes."""

    value: Tensor
    law: Law | None = None
    """The law that draws it; None where the file gave values."""
    trainable: bool = True
    origin: str | None = None
    penalty: Penalty | None = None
    """What it adds to the loss in training; the loss that is told is the batch's alone."""


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order, and the tensors they start from."""

    nodes: tuple[Node, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    """Float tensors that a gradient can reach."""
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    """Everything else that the file holds: shapes, indices, scales, running statistics."""
    opsets: Mapping[str, int] = field(default_factory=lambda: {"": 22})
    """Version of each operator domain."""
    notes: tuple[str, ...] = ()
    """What the loader noticed and the report should say."""
    header: ModelProto | None = field(default=None, compare=False)
    """What the file says of itself: who made it, its metadata, its inputs and outputs; no nodes and no numbers."""

    def replace(self, **changes: object) -> Self:
        """Return a graph with these fields exchanged."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def producers(self) -> dict[str, Node]:
        """Return the node that writes each value."""
        return {output: node for node in self.nodes for output in node.outputs if output}

    def consumers(self, value: str) -> Iterator[Node]:
        """Yield the nodes that read `value`."""
        return (node for node in self.nodes if value in node.inputs)

    def with_parameters(self, values: Mapping[str, Tensor]) -> Self:
        """Return a graph in which these parameters hold other values (and follow no law)."""
        changed = {name: replace(self.parameters[name], value=value, law=None) for name, value in values.items()}
        return self.replace(parameters={**self.parameters, **changed})

    def redrawn(self, seed: int) -> Self:
        """Return a graph whose parameters are drawn again, each by its own law and its own stream of `seed`.

        A parameter's stream depends on the seed and its name alone, so adding one never changes another.
        """
        drawn = {
            name: replace(parameter, value=parameter.law(stream(seed, name)).to(parameter.value))
            for name, parameter in self.parameters.items()
            if parameter.law is not None
        }
        return self.replace(parameters={**self.parameters, **drawn})

    def fresh(self, stem: str) -> str:
        """Return a name, made from `stem`, that no node, value or parameter of this graph has."""
        taken = {node.name for node in self.nodes} | {name for node in self.nodes for name in node.outputs}
        taken |= self.parameters.keys() | self.constants.keys() | {given.name for given in self.inputs}
        if stem not in taken:
            return stem
        return next(name for count in range(1, len(taken) + 2) if (name := f"{stem}_{count}") not in taken)


def stream(seed: int, name: str) -> Stream:
    """Return what the weights of `name` are drawn from under `seed`, the same on every platform."""
    return Stream(_digest(seed, name))


def torch_stream(seed: int, name: str) -> torch.Generator:
    """Return a CPU generator for `name` under `seed`, for whatever is no weight."""
    return torch.Generator().manual_seed(_digest(seed, name) % 2**63)


def _digest(seed: int, name: str) -> int:
    digest = 1469598103934665603
    for byte in f"{seed}:{name}".encode():
        digest = ((digest ^ byte) * 1099511628211) % 2**64  # FNV-1a, 64 bit
    return digest


def names(values: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are not absent."""
    return tuple(value for value in values if value)


def reads(node: Node) -> Iterator[str]:
    """Yield the names that a node reads, those of its subgraphs included."""
    yield from names(node.inputs)
    for value in node.attributes.values():
        if isinstance(value, Graph):
            yield from value.outputs
            for inner in value.nodes:
                yield from reads(inner)
