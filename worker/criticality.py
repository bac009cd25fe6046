"""The weights' scale at which gradients neither vanish nor explode, for each activation.

χ₁ = σ_w² E[φ'(z)²] is the factor by which a layer changes a squared gradient; at criticality it is 1.
Sources: He et al. 2015; Klambauer et al. 2017; Poole et al. 2016; Roberts, Yaida and Hanin 2022 (GELU, SiLU, ELU).
"""

from dataclasses import replace
from typing import Final, NamedTuple

from torch import Tensor

from worker.network.graph import Graph, Node, Parameter, stream
from worker.network.laws import Constant, Normal, Orthogonal, fans
from worker.network.layers import Layer


class Critical(NamedTuple):
    """Variance of weights times fan-in, and variance of biases."""

    weights: float
    biases: float = 0.0


LINEAR: Final = Critical(1.0)
_TABLE: Final = {
    "Relu": Critical(2.0),
    "PRelu": Critical(2.0),
    "Clip": Critical(2.0),
    "ThresholdedRelu": Critical(2.0),
    "Selu": Critical(1.0),
    "Elu": Critical(1.496777, 0.034660),
    "Celu": Critical(1.496777, 0.034660),
    "Tanh": Critical(1.05),
    "Softsign": Critical(1.05),
    "Gelu": Critical(1.98305826, 0.17292239),
    "Swish": Critical(1.98800468, 0.55514317),
    "Mish": Critical(1.98800468, 0.55514317),
    "HardSwish": Critical(1.98800468, 0.55514317),
}


def critical(activation: Node | None) -> Critical:
    """Return the critical variances behind an activation; sigmoid has none in practice and is treated as linear."""
    if activation is None:
        return LINEAR
    if activation.op == "LeakyRelu":
        slope = activation.attributes.get("alpha", 0.01)
        return Critical(2 / (1 + float(slope) ** 2)) if isinstance(slope, int | float) else LINEAR
    return _TABLE.get(activation.op, LINEAR)


def redraw(graph: Graph, layers: tuple[Layer, ...], seed: int, *, orthogonal: bool = False) -> Graph:
    """Return the graph with these layers' kernels and biases drawn at criticality for the activation before each.

    The first layer takes the activation after it, as He et al. do; what feeds no activation (the head) is drawn as
    linear behind its activation would be, halved for a rectifier, so that the first outputs are of unit scale at
    most.
    """
    drawn: dict[str, Parameter] = {}
    for layer in layers:
        scale = critical(layer.before or layer.after) if layer.after is not None else LINEAR
        kernel = graph.parameters[layer.kernel]
        drawn[layer.kernel] = _drawn(kernel, layer.kernel, _kernel_law(kernel.value, layer, scale, orthogonal), seed)
        if layer.bias is not None:
            bias = graph.parameters[layer.bias]
            law = (
                Normal(tuple(bias.value.shape), scale.biases**0.5)
                if scale.biases
                else Constant(tuple(bias.value.shape), 0.0)
            )
            drawn[layer.bias] = _drawn(bias, layer.bias, law, seed)
    return graph.replace(parameters={**graph.parameters, **drawn})


def _kernel_law(value: Tensor, layer: Layer, scale: Critical, orthogonal: bool) -> Normal | Orthogonal:  # noqa: FBT001
    shape = tuple(value.shape)
    if orthogonal and value.dim() == 2:  # noqa: PLR2004  a matrix
        return Orthogonal(shape, scale.weights**0.5)
    fan = fans(shape, layer.node.op, transposed=layer.transposed)
    return Normal(shape, (scale.weights / max(fan.into, 1)) ** 0.5)


def _drawn(parameter: Parameter, name: str, law: Normal | Orthogonal | Constant, seed: int) -> Parameter:
    value = law(stream(seed, name)).to(parameter.value)
    return replace(parameter, value=value, law=law)
