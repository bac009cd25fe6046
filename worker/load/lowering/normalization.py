"""Normalizations."""

import torch

from service.contract.architecture import Shape
from service.contract.architecture.base import IMAGE, VECTOR, channels
from service.contract.architecture.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm
from worker.load.builder import Builder
from worker.load.channels import channels_first
from worker.load.lowering import lowering
from worker.network.laws import Constant


@lowering("batch_norm")
def batch_norm(layer: BatchNorm, build: Builder, value: str, shape: Shape) -> str:
    """BatchNormalization; the running statistics start at 0 and 1."""
    scale, shift = _affine(build, (channels(shape),), layer.scale)
    mean = build.constant("mean", torch.zeros(channels(shape)))
    variance = build.constant("variance", torch.ones(channels(shape)))

    def inside(given: str) -> str:
        inputs = (given, scale, shift, mean, variance)
        return build.node("BatchNormalization", *inputs, epsilon=layer.epsilon, momentum=layer.momentum)

    return channels_first(build, value, shape, inside)


@lowering("layer_norm")
def layer_norm(layer: LayerNorm, build: Builder, value: str, shape: Shape) -> str:
    """LayerNormalization over the last axis, or all of an image."""
    scale, shift = _affine(build, _normalized(shape))
    axis = 1 if len(shape) == IMAGE else -1
    return build.node("LayerNormalization", value, scale, shift, axis=axis, epsilon=layer.epsilon)


@lowering("rms_norm")
def rms_norm(layer: RmsNorm, build: Builder, value: str, shape: Shape) -> str:
    """RMSNormalization over the last axis, or all of an image."""
    scale = build.parameter("scale", Constant(_normalized(shape), 1.0))
    axis = 1 if len(shape) == IMAGE else -1
    return build.node("RMSNormalization", value, scale, axis=axis, epsilon=layer.epsilon)


@lowering("group_norm")
def group_norm(layer: GroupNorm, build: Builder, value: str, shape: Shape) -> str:
    """GroupNormalization; a vector is given an axis to have one inside its groups."""
    weights = _affine(build, (channels(shape),))

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
    weights = _affine(build, (channels(shape),))

    def inside(given: str) -> str:
        return build.node("InstanceNormalization", given, *weights, epsilon=layer.epsilon)

    return channels_first(build, value, shape, inside)


def _affine(build: Builder, size: Shape, start: float = 1.0) -> tuple[str, str]:
    return build.parameter("scale", Constant(size, start)), build.parameter("shift", Constant(size, 0.0))


def _normalized(shape: Shape) -> Shape:
    return shape if len(shape) == IMAGE else shape[-1:]
