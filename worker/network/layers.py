"""The weight layers of a graph, in their surroundings.

Each is a kernel, perhaps a bias, the norm and the activation that follow, and what came
before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from worker.network.activations import whole
from worker.network.evaluated import NOISES
from worker.network.graph import Graph, Node

KERNELS: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
ROUNDED: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
PLAIN: Final = ROUNDED | NOISES | {"Identity", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Cast"}
"""Operators that move or keep numbers, or round them at most."""
POOLS: Final = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
NORMS: Final = frozenset(
    {"BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization"}
)
NONLINEAR: Final = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Swish", "Mish", "HardSwish", "Tanh", "Sigmoid"}
    | {"Softplus", "HardSigmoid", "Softsign", "ThresholdedRelu", "Clip"}
)


@dataclass(frozen=True)
class Layer:
    """One weight layer in its surroundings."""

    node: Node
    kernel: str
    """The kernel's parameter."""
    transposed: bool
    """Whether the kernel is stored (out, in)."""
    bias: str | None
    output: str
    """The value after the bias."""
    norm: Node | None
    """The norm between it and its activation."""
    after: Node | None
    """The activation that reads it, perhaps through a norm."""
    before: Node | None
    """The activation whose output it reads, perhaps through pools and reshapes."""


def weight_layers(graph: Graph) -> tuple[Layer, ...]:
    """Return the layers whose kernel is a trainable parameter, in forward order, without the recurrent ones."""
    producers = graph.producers()
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    return tuple(_layers(graph, producers, readers))


def _layers(graph: Graph, producers: Mapping[str, Node], readers: Mapping[str, list[Node]]) -> Iterator[Layer]:
    composed = whole(graph)
    ends = {node.outputs[0]: node for node in composed}
    starts = {node.inputs[0]: node for node in composed}
    for node in graph.nodes:
        if node.op not in KERNELS or len(node.inputs) < 2:  # noqa: PLR2004  a kernel is the second input
            continue
        kernel, turned = _parameter(graph, producers, node.inputs[1])
        if kernel is None or not graph.parameters[kernel].trainable:
            continue
        bias = _parameter(graph, producers, node.inputs[2])[0] if len(node.inputs) > 2 else None  # noqa: PLR2004
        output, bias = _with_bias(graph, producers, readers, node.outputs[0], bias)
        norm, after = _following(starts, readers, output)
        transposed = turned != bool(node.attributes.get("transB", 0))
        yield Layer(node, kernel, transposed, bias, output, norm, after, _preceding(ends, producers, node.inputs[0]))


def _parameter(graph: Graph, producers: Mapping[str, Node], value: str) -> tuple[str | None, bool]:
    """Return the parameter behind a value, and whether it is transposed on the way."""
    turned = False
    while value not in graph.parameters:
        node = producers.get(value)
        if node is None or node.op not in ROUNDED | {"Transpose", "Identity", "Cast"}:
            return None, turned
        turned ^= node.op == "Transpose"
        value = node.inputs[0]
    return value, turned


def _with_bias(
    graph: Graph, producers: Mapping[str, Node], readers: Mapping[str, list[Node]], output: str, bias: str | None
) -> tuple[str, str | None]:
    """Return the value after a bias that an Add of its own applies."""
    following = readers.get(output, [])
    if bias is not None or len(following) != 1 or following[0].op != "Add":
        return output, bias
    (other,) = [value for value in following[0].inputs if value != output] or [output]
    added, _ = _parameter(graph, producers, other)
    flat = added is not None and sum(size > 1 for size in graph.parameters[added].value.shape) <= 1
    return (following[0].outputs[0], added) if flat else (output, None)


def _following(
    composed: Mapping[str, Node], readers: Mapping[str, list[Node]], value: str
) -> tuple[Node | None, Node | None]:
    """Return the norm and the activation that read a value next; those of several nodes are told by what they read."""
    norm = None
    for _ in range(8):
        following = readers.get(value, [])
        if len(following) != 1:
            return norm, composed.get(value) or next((node for node in following if node.op in NONLINEAR), None)
        (node,) = following
        if node.op in NONLINEAR:
            return norm, node
        if node.op in NORMS:
            norm = node
        elif node.op not in PLAIN:
            break
        value = node.outputs[0]
    return norm, None


def _preceding(composed: Mapping[str, Node], producers: Mapping[str, Node], value: str) -> Node | None:
    """Return the activation that a value comes from through pools and reshapes; `composed` are those of several."""
    node = producers.get(value)
    while node is not None and node.op in PLAIN | POOLS:
        value = node.inputs[0]
        node = producers.get(value)
    return node if node is not None and node.op in NONLINEAR else composed.get(value)
