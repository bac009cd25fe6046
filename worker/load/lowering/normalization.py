"""Normalizations."""

from collections.abc import Callable, Sequence

import torch

from service.contract.architecture import Shape
from service.contract.architecture.base import VECTOR, channels
from service.contract.architecture.normalization import (
    Affine,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
    UnitNorm,
)
from worker.load.builder import Builder
from worker.load.channels import channels_first
from worker.load.lowering import lowering
from worker.load.transposing import axes_last
from worker.network.laws import Constant


@lowering("batch_norm")
def batch_norm(layer: BatchNorm, build: Builder, value: str, shape: Shape) -> str:
    """BatchNormalization; the running statistics start at 0 and 1."""
    scale, shift = _affine(layer, build, shape)
    mean = build.constant("mean", torch.zeros(channels(shape)))
    variance = build.constant("variance", torch.ones(channels(shape)))

    def inside(given: str) -> str:
        inputs = (given, scale, shift, mean, variance)
        return build.node("BatchNormalization", *inputs, epsilon=layer.epsilon, momentum=layer.momentum)

    return channels_first(build, value, shape, inside)


@lowering("layer_norm")
def layer_norm(layer: LayerNorm, build: Builder, value: str, shape: Shape) -> str:
    """LayerNormalization; axes that are not the last ones are put there and back."""
    scale, shift = _affine(layer, build, shape)

    def inside(given: str, axis: int) -> str:
        return build.node("LayerNormalization", given, scale, shift, axis=axis, epsilon=layer.epsilon)

    return _axes_last(build, value, shape, layer.over(shape), inside)


@lowering("rms_norm")
def rms_norm(layer: RmsNorm, build: Builder, value: str, shape: Shape) -> str:
    """RMSNormalization; axes that are not the last ones are put there and back."""
    scale = _learned(build, "scale", layer.scale, layer.learns(shape), 1.0)

    def inside(given: str, axis: int) -> str:
        return build.node("RMSNormalization", given, scale, axis=axis, epsilon=layer.epsilon)

    return _axes_last(build, value, shape, layer.over(shape), inside)


@lowering("unit_norm")
def unit_norm(layer: UnitNorm, build: Builder, value: str, shape: Shape) -> str:
    """Divide by the length, or by epsilon where that is more."""
    axes = build.constant("axes", torch.tensor([axis + 1 for axis in layer.over(shape)]))
    length = build.node(f"ReduceL{layer.p}", value, axes, role="length", keepdims=1)
    least = build.constant("epsilon", torch.tensor(layer.epsilon))
    return build.node("Div", value, build.node("Max", length, least, role="bounded"))


@lowering("group_norm")
def group_norm(layer: GroupNorm, build: Builder, value: str, shape: Shape) -> str:
    """GroupNormalization; a vector is given an axis to have one inside its groups."""
    weights = _affine(layer, build, shape)

    def inside(given: str) -> str:
        groups = layer.groups
        return build.node("GroupNormalization", given, *weights, num_groups=groups, epsilon=layer.epsilon)

    if len(shape) > VECTOR:
        return channels_first(build, value, shape, inside)
    axes = build.constant("axes", torch.tensor([2]))
    wide = build.node("Unsqueeze", value, axes, role="wide")
    return build.node("Squeeze", inside(wide), axes, role="back")


@lowering("instance_norm")
def instance_norm(layer: InstanceNorm, build: Builder, value: str, shape: Shape) -> str:
    """InstanceNormalization."""
    weights = _affine(layer, build, shape)

    def inside(given: str) -> str:
        return build.node("InstanceNormalization", given, *weights, epsilon=layer.epsilon)

    return channels_first(build, value, shape, inside)


@lowering("local_response_norm")
def local_response_norm(layer: LocalResponseNorm, build: Builder, value: str, shape: Shape) -> str:
    """LRN."""
    return build.node("LRN", value, size=layer.size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)


def _axes_last(build: Builder, value: str, shape: Shape, axes: Sequence[int], inside: Callable[[str, int], str]) -> str:
    return axes_last(build, value, len(shape) + 1, [axis + 1 for axis in axes], inside)


def _affine(layer: Affine, build: Builder, shape: Shape) -> tuple[str, str]:
    size = layer.learns(shape)
    return _learned(build, "scale", layer.scale, size, 1.0), _learned(build, "shift", layer.shift, size, 0.0)


def _learned(build: Builder, role: str, start: float | bool, size: Shape, fixed: float) -> str:  # noqa: FBT001
    """Put down a weight that starts there, or, where it is false, a constant."""
    if start is False:
        return build.constant(role, torch.full(size, fixed))
    return build.parameter(role, Constant(size, float(start)))
