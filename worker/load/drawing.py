"""The laws of a file as laws that draw: the laws of `init`, and Keras's initializers."""

from typing import Literal, TypeAlias

from service.contract.architecture.laws import (
    AnyLaw,
    Constant,
    Identity,
    Normal,
    Orthogonal,
    Plain,
    Scaled,
    Sparse,
    Uniform,
    VarianceScaling,
)
from worker.network import laws
from worker.network.graph import Law
from worker.network.laws import Fans, Shape

Part: TypeAlias = Literal["kernel", "recurrent", "table"]
"""What a weight of two axes or more is: a kernel, one from step to step, or a table whose rows are looked up."""


def law_of(spec: AnyLaw, shape: Shape, fan: Fans, default: Law, part: Part = "kernel") -> Law:
    """Return the law that `spec` names for a weight of this shape and these fans.

    `default` is PyTorch's own; `part` says what Keras's own is (a vector's is zero).
    """
    match spec:
        case Plain():
            return _plain(spec, shape, fan, default, part)
        case Scaled():
            return law_of(spec.general, shape, fan, default)
        case VarianceScaling():
            return laws.scaled(shape, spec.scale / max(1.0, fan.of(spec.mode)), spec.distribution)
        case _:
            return _fixed(spec, shape)


def _fixed(spec: Normal | Uniform | Constant | Orthogonal | Identity | Sparse, shape: Shape) -> Law:
    """Return a law that does not look at the fans."""
    match spec:
        case Normal():
            return laws.Normal(shape, spec.std, spec.mean, truncated=spec.law == "truncated_normal")
        case Uniform():
            return laws.Uniform(shape, spec.low, spec.high)
        case Constant():
            return laws.Constant(shape, spec.value)
        case Sparse():
            return laws.Sparse(shape, spec.sparsity, spec.std)
        case Identity():
            return laws.Identity(shape, spec.gain)
        case Orthogonal():
            kind = laws.Orthogonal if spec.law == "orthogonal" else laws.DeltaOrthogonal
            return kind(shape, spec.gain)


def _plain(spec: Plain, shape: Shape, fan: Fans, default: Law, part: Part) -> Law:
    if spec.law == "torch_default":
        return default
    if spec.law == "keras_default" and len(shape) > 1:
        return _keras_default(shape, fan, part)
    return laws.Constant(shape, float(spec.law == "ones"))


def _keras_default(shape: Shape, fan: Fans, part: Part) -> Law:
    """Return glorot_uniform, or, from step to step, orthogonal, or, for tables, uniform within ±0.05."""
    if part == "recurrent":
        return laws.Orthogonal(shape)
    if part == "table":
        return laws.Uniform(shape, -0.05, 0.05)
    return laws.scaled(shape, 1 / fan.of("fan_avg"), "uniform")
