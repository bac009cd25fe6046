"""The laws of a file as laws that draw: the laws of `init`, and Keras's initializers."""

from collections.abc import Sequence
from math import prod
from typing import Final, Literal, TypeAlias

from service.contract.architecture.laws import (
    MATRICES,
    Along,
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
    unfit,
)
from service.contract.problem import Invalid
from worker.network import laws
from worker.network.graph import Law
from worker.network.laws import Fans, Shape, fans, keras_fans

_MATRIX: Final = 2

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


def convolution_law(spec: AnyLaw, shape: Shape, groups: int = 1, *, transposed: bool = False) -> Law:
    """Return the law of a kernel (out, in / groups, window…), or, where `transposed`, (in, out / groups, window…).

    Laws of matrices draw each group by itself, as a matrix that leads from its inputs to its outputs.  PyTorch's own
    law reads the fan of a transposed kernel off the wrong axis, as it does in torch.nn.
    """
    fan = fans(shape, "ConvTranspose" if transposed else "Conv")
    default = laws.torch_default(shape, fans(shape, "Conv"))
    if spec.law not in MATRICES or (groups == 1 and not transposed):
        return law_of(spec, shape, fan, default)
    first, second, *window = (shape[0] // groups, *shape[1:])
    if not transposed:
        law = law_of(spec, (first, second, *window), fan, default)
    else:
        law = laws.Permuted(law_of(spec, (second, first, *window), fan, default), (1, 0, *range(2, len(shape))))
    return law if groups == 1 else laws.Stacked((law,) * groups, shape)


def keras_law(
    spec: AnyLaw, shape: Shape, axes: Sequence[int] | None = None, into: Shape | None = None, *, at: str | None = None
) -> Law:
    """Return the law that a Keras initializer gives a weight of this shape, in Keras's own layout (window…, in, out).

    What it draws is permuted by `axes`, then brought into the shape `into`, where the weight lies otherwise here.
    Invalid, pointing at `at`, where Keras cannot draw such a weight either.
    """
    if detail := _refusal(spec, shape):
        raise Invalid(detail, pointer=at)
    law = _in_kerass_layout(spec, shape)
    law = law if axes is None else laws.Permuted(law, tuple(axes))
    return law if into is None else laws.Reshaped(law, into)


def _refusal(spec: AnyLaw, shape: Shape) -> str | None:
    """Return why Keras cannot draw a weight of this shape; None where it can."""
    if isinstance(spec, Identity) and len(shape) != _MATRIX:
        return f"Keras's identity fills matrices; this weight is {list(shape)}."
    if isinstance(spec, Along):
        for axis in (*spec.input_axes, *spec.output_axes):
            if not -len(shape) <= axis < len(shape):
                return f"The initializer counts along axis {axis}; the weight is {list(shape)}."
    return unfit(spec.law, shape)


def _in_kerass_layout(spec: AnyLaw, shape: Shape) -> Law:
    match spec:
        case Along():
            return law_of(spec, shape, keras_fans(shape, spec.input_axes, spec.output_axes), laws.Constant(shape, 0.0))
        case Orthogonal():
            return laws.Reshaped(laws.Orthogonal((prod(shape[:-1]), shape[-1]), spec.gain), shape)
        case _:
            return law_of(spec, shape, keras_fans(shape), laws.Constant(shape, 0.0))


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
