"""Recurrent weights that a file lays out from others, read as one: exports without folding reorder gates by operators.

PyTorch keeps an LSTM's gates in another order than ONNX, and an export for training slices and joins its weights in the
graph.  What is written into the joined weight is brought back to where each of its numbers comes from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

from worker.network.graph import Graph, Node, Parameter, reads
from worker.network.run import Program

_RECURRENT: Final = frozenset({"RNN", "GRU", "LSTM"})
_WEIGHTS: Final = slice(1, 4)
"""The places of kernel, recurrent kernel and biases among a recurrent operator's inputs."""
_LAYOUT: Final = frozenset(
    {"Slice", "Concat", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Split", "Flatten", "Identity"}
)


@dataclass(frozen=True)
class Layout:
    """How a weight is made of parameters."""

    shape: torch.Size
    places: Mapping[str, Tensor]
    """By parameter, where in the flat weight each of its numbers stands."""

    def joined(self, parameters: Mapping[str, Parameter]) -> Tensor:
        """Return the weight that the parameters make, on their device."""
        parts = {name: parameters[name].value for name in self.places}
        flat = next(iter(parts.values())).new_empty(self.shape.numel())
        for name, part in parts.items():
            flat[self.places[name]] = part
        return flat.reshape(self.shape)

    def parted(self, weight: Tensor) -> dict[str, Tensor]:
        """Return the parameters that make a weight."""
        return {name: weight.flatten()[places] for name, places in self.places.items()}


@dataclass(frozen=True)
class Gathered:
    """A graph in which recurrent operators read parameters, in place of what others are laid out to."""

    source: Graph
    graph: Graph
    layouts: Mapping[str, Layout]
    """How the parameters that the source does not have are made of its own."""

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """Join the weights that recurrent operators read; a graph in which all are parameters stays as it is."""
        layouts = {name: found for name in _written(graph) if (found := _layout(graph, name)) is not None}
        joined = {name: Parameter(layout.joined(graph.parameters)) for name, layout in layouts.items()}
        kept = tuple(node for node in graph.nodes if not joined.keys() & set(node.outputs))
        return cls(graph, graph.replace(nodes=kept, parameters={**graph.parameters, **joined}), layouts)

    def restored(self, changed: Graph) -> Graph:
        """Return the source with the parameters and the attributes of nodes that `changed` has."""
        parts: dict[str, Tensor] = {}
        for name, layout in self.layouts.items():
            if changed.parameters[name] is not self.graph.parameters[name]:
                parts |= layout.parted(changed.parameters[name].value)
        nodes = {node.name: node for node in changed.nodes}
        parameters = {name: each for name, each in changed.parameters.items() if name not in self.layouts}
        kept = tuple(nodes.get(node.name, node) for node in self.source.nodes)
        return self.source.replace(nodes=kept, parameters=parameters).with_parameters(parts)


def _written(graph: Graph) -> Iterator[str]:
    """Yield the weights of recurrent operators that other operators write."""
    makers = graph.producers()
    for node in graph.nodes:
        if node.op in _RECURRENT:
            yield from (name for name in node.inputs[_WEIGHTS] if name in makers)


def _layout(graph: Graph, value: str) -> Layout | None:
    """Return how a value is made of trainable parameters; None unless each of their numbers stands in it once."""
    nodes, sources = _leading(graph, value)
    if not sources or not all(graph.parameters[name].trainable for name in sources):
        return None
    counted, first = dict[str, Parameter](), 0
    for name in sources:
        shape = graph.parameters[name].value.shape
        numbers = torch.arange(first, first + shape.numel(), dtype=torch.float64)
        counted[name] = Parameter(numbers.reshape(shape))
        first += shape.numel()
    order = Program(graph.replace(nodes=nodes, inputs=(), outputs=(value,), parameters=counted)).run({})[value].detach()
    if not torch.equal(order.flatten().sort().values.long(), torch.arange(first)):
        return None
    places = order.flatten().argsort()
    return Layout(order.shape, {name: places[each.value.long()] for name, each in counted.items()})


def _leading(graph: Graph, value: str) -> tuple[tuple[Node, ...], list[str]]:
    """Return the nodes and the parameters that a value is made of; none where something else has a part in it."""
    makers, waiting, found, sources = graph.producers(), [value], set[str](), list[str]()
    while waiting:
        name = waiting.pop()
        if name in graph.parameters:
            sources.append(name)
        elif name in makers and makers[name].op in _LAYOUT and not makers[name].domain:
            if makers[name].name not in found:
                found.add(makers[name].name)
                waiting.extend(reads(makers[name]))
        elif name not in graph.constants:
            return (), []
    return tuple(node for node in graph.nodes if node.name in found), list(dict.fromkeys(sources))
