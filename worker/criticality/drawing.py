"""Weights drawn again: which layers can be, at what scale, and the laws that their parameters then follow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Final, TypeAlias

from torch import Tensor

from worker.criticality.lengths import Shape as Function
from worker.criticality.solver import LINEAR, Critical, solve
from worker.network.compound import shape_of
from worker.network.graph import Graph, Law, Node, stream
from worker.network.laws import Constant, Normal, Orthogonal, Permuted, Reshaped, Shape, Stacked, fans
from worker.network.layers import Layer, weight_layers

LawOf: TypeAlias = Callable[[Layer], Law]

_MATRIX: Final = 2
_MOVING: Final = frozenset({"Transpose", "Identity", "Cast"})
_BOUNDS: Final = ("min", "max")


def critical(activation: Node | None, graph: Graph | None = None) -> Critical:
    """Return the critical variances behind an activation.

    Of a sigmoid, for which there are none in practice, those of no activation.  The slopes of a PRelu and the bounds
    of a Clip that are tensors are looked up in `graph`.
    """
    if activation is None:
        return LINEAR
    try:
        return solve(_shape(activation, graph))
    except (KeyError, TypeError, ValueError, RuntimeError):
        return LINEAR


def redrawable(graph: Graph) -> tuple[Layer, ...]:
    """Return the weight layers whose kernel is theirs alone to draw: no embedding reads it too, and it is not rounded.

    A kernel that several layers share is the first one's.
    """
    layers, readers = weight_layers(graph), dict[str, list[Node]]()
    for node in graph.nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    own, found = {layer.node.name for layer in layers}, dict[str, Layer]()
    for layer in layers:
        if layer.kernel not in found and _own(readers, layer.kernel, own):
            found[layer.kernel] = layer
    return tuple(found.values())


def redraw(graph: Graph, layers: Sequence[Layer], seed: int, *, orthogonal: bool = False) -> Graph:
    """Return the graph with these layers' kernels and biases drawn at criticality for the activation before each.

    The first layer takes the activation after it, as He et al. do; what feeds no activation (the head) is drawn as
    linear behind its activation would be, halved for a rectifier, so that the first outputs are of unit scale at
    most.
    """

    def kernel(layer: Layer) -> Law:
        variance = scaled_to(graph, layer).weights
        return orthonormal(graph, layer, variance) if orthogonal else by_fan(graph, layer, variance)

    return started(graph, layers, seed, kernel, lambda layer: scaled_to(graph, layer).biases)


def scaled_to(graph: Graph, layer: Layer) -> Critical:
    """Return the scale for a layer in its place."""
    return critical(layer.before or layer.after, graph) if layer.after is not None else LINEAR


def by_fan(graph: Graph, layer: Layer, variance: float) -> Normal:
    """Return the normal law of this variance / fan-in for a layer's kernel."""
    shape = tuple(graph.parameters[layer.kernel].value.shape)
    fan = fans(shape, layer.node.op, transposed=layer.transposed)
    return Normal(shape, (variance / max(fan.into, 1)) ** 0.5)


def orthonormal(graph: Graph, layer: Layer, variance: float) -> Law:
    """Return the law of an orthogonal matrix times the root of a variance for a layer's kernel.

    Gates that are drawn one by one get a matrix each.  A kernel that is no matrix, and no convolution's, which is one
    of its outputs by all that its window sums, follows the normal law of this variance / fan-in.
    """
    parameter = graph.parameters[layer.kernel]
    if parameter.value.dim() < _MATRIX or (layer.node.op == "MatMul" and parameter.value.dim() > _MATRIX):
        return by_fan(graph, layer, variance)
    return _laid_out(parameter.law, tuple(parameter.value.shape), variance**0.5)


def _laid_out(law: Law | None, shape: Shape, gain: float) -> Law:
    """Return an orthogonal law in the layout of another, so that a file that draws in that layout can say it."""
    match law:
        case Stacked():
            return Stacked(tuple(_laid_out(part, shape_of(part), gain) for part in law.laws), law.shape)
        case Permuted():
            inner = shape_of(law.law)
            matrix = Orthogonal((prod(inner[:-1]), inner[-1]), gain)
            return Permuted(matrix if len(inner) == _MATRIX else Reshaped(matrix, inner), law.axes)
        case _:
            return Orthogonal(shape, gain)


def started(
    graph: Graph,
    layers: Sequence[Layer],
    seed: int,
    kernel: LawOf,
    variance: Callable[[Layer], float] | None = None,
) -> Graph:
    """Return the graph with each layer's kernel drawn by its law, and its bias by a normal law of its variance, or 0.

    Biases that are frozen stay.
    """
    laws: dict[str, Law] = {}
    for layer in layers:
        laws |= _laws(graph, layer, kernel, variance(layer) if variance else 0.0)
    drawn = {
        name: replace(graph.parameters[name], value=law(stream(seed, name)).to(graph.parameters[name].value), law=law)
        for name, law in laws.items()
    }
    return graph.replace(parameters={**graph.parameters, **drawn})


def _laws(graph: Graph, layer: Layer, kernel: LawOf, variance: float) -> Iterator[tuple[str, Law]]:
    yield layer.kernel, kernel(layer)
    if layer.bias is not None and graph.parameters[layer.bias].trainable:
        shape = tuple(graph.parameters[layer.bias].value.shape)
        yield layer.bias, Normal(shape, variance**0.5) if variance else Constant(shape, 0.0)


def _own(readers: Mapping[str, Sequence[Node]], kernel: str, layers: set[str]) -> bool:
    """Whether nothing but weight layers reads a kernel, turned and cast at most."""
    waiting, seen = [kernel], set[str]()
    while waiting:
        value = waiting.pop()
        seen.add(value)
        others = [node for node in readers.get(value, ()) if node.name not in layers]
        if any(node.op not in _MOVING for node in others):
            return False
        waiting += [output for node in others for output in node.outputs if output not in seen]
    return True


def _shape(activation: Node, graph: Graph | None) -> Function:
    """Return an activation with its numbers.  TypeError where one is no number, KeyError where one is not at hand."""
    op, numbers = activation.op, dict(activation.attributes)
    if op == "PRelu":
        op, numbers = "LeakyRelu", {"alpha": _slope(_held(graph, activation.inputs[1]))}
    elif op == "Clip":
        bounds = zip(_BOUNDS, activation.inputs[1:], strict=False)
        numbers |= {name: float(_held(graph, value)) for name, value in bounds if value}
    return Function(op, activation.domain, tuple(sorted((name, _number(value)) for name, value in numbers.items())))


def _held(graph: Graph | None, value: str) -> Tensor:
    """Return a tensor that a graph holds; KeyError where it does not."""
    if graph is None:
        raise KeyError(value)
    parameter = graph.parameters.get(value)
    return parameter.value if parameter is not None else graph.constants[value]


def _slope(slopes: Tensor) -> float:
    """Return the one slope that acts on squares as several do on average."""
    return float(slopes.double().square().mean().sqrt())


def _number(value: object) -> float | str:
    if not isinstance(value, int | float | str):
        raise TypeError(value)
    return value
