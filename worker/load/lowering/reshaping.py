"""Layers that move numbers about, pick some, or move all by two numbers."""

import sys

import torch

from service.contract.architecture import Shape
from service.contract.architecture.axes import placed
from service.contract.architecture.base import IMAGE
from service.contract.architecture.reshaping import (
    Flatten,
    Identity,
    Permute,
    RepeatVector,
    Rescale,
    Reshape,
    Select,
    Slice,
    Squeeze,
    Unsqueeze,
)
from worker.load.builder import Builder
from worker.load.lowering import lowering


@lowering("flatten")
def flatten(layer: Flatten, build: Builder, value: str, shape: Shape) -> str:
    """Flatten, or Reshape where axes are left apart."""
    if layer.span(shape) == (0, len(shape)):
        return build.node("Flatten", value, axis=1)
    return _reshaped(build, value, layer.output(shape, ""))


@lowering("reshape")
def reshape(layer: Reshape, build: Builder, value: str, shape: Shape) -> str:
    """Reshape."""
    return _reshaped(build, value, layer.output(shape, ""))


@lowering("permute")
def permute(layer: Permute, build: Builder, value: str, shape: Shape) -> str:
    """Transpose."""
    return build.node("Transpose", value, perm=(0, *(axis + 1 for axis in layer.axes)))


@lowering("repeat_vector")
def repeat_vector(layer: RepeatVector, build: Builder, value: str, shape: Shape) -> str:
    """Unsqueeze and Tile."""
    wide = build.node("Unsqueeze", value, build.constant("axes", torch.tensor([1])), role="wide")
    return build.node("Tile", wide, build.constant("times", torch.tensor([1, layer.times, 1])))


@lowering("slice")
def cut(layer: Slice, build: Builder, value: str, shape: Shape) -> str:
    """Slice."""
    stop = sys.maxsize if layer.stop is None else layer.stop
    axis = placed(layer.axis, shape, "") + 1
    bounds = {"start": layer.start, "stop": stop, "axes": axis, "step": layer.step}
    return build.node("Slice", value, *(build.constant(role, torch.tensor([bound])) for role, bound in bounds.items()))


@lowering("select")
def select(layer: Select, build: Builder, value: str, shape: Shape) -> str:
    """Gather at one place."""
    index = build.constant("index", torch.tensor(layer.index))
    return build.node("Gather", value, index, axis=placed(layer.axis, shape, "") + 1)


@lowering("squeeze")
def squeeze(layer: Squeeze, build: Builder, value: str, shape: Shape) -> str:
    """Squeeze."""
    return build.node("Squeeze", value, build.constant("axes", torch.tensor([placed(layer.axis, shape, "") + 1])))


@lowering("unsqueeze")
def unsqueeze(layer: Unsqueeze, build: Builder, value: str, shape: Shape) -> str:
    """Unsqueeze."""
    return build.node("Unsqueeze", value, build.constant("axes", torch.tensor([layer.place(shape) + 1])))


@lowering("identity")
def identity(layer: Identity, build: Builder, value: str, shape: Shape) -> str:
    """Identity."""
    return build.node("Identity", value)


@lowering("rescale")
def rescale(layer: Rescale, build: Builder, value: str, shape: Shape) -> str:
    """Mul and Add; neither where it changes nothing, but one of the two."""
    if layer.scale != 1 or layer.offset == 0:
        role = "" if layer.offset == 0 else "scaled"
        value = build.node("Mul", value, build.constant("scale", _laid(layer.scale, shape)), role=role)
    if layer.offset != 0:
        value = build.node("Add", value, build.constant("offset", _laid(layer.offset, shape)))
    return value


def _laid(given: float | tuple[float, ...], shape: Shape) -> torch.Tensor:
    """Return a number, or numbers along the axis of channels or features."""
    if not isinstance(given, tuple):
        return torch.tensor(float(given))
    behind = (1,) * (len(shape) - 1) if len(shape) >= IMAGE else ()
    return torch.tensor(given, dtype=torch.float32).reshape(-1, *behind)


def _reshaped(build: Builder, value: str, shape: Shape) -> str:
    """Put down Reshape; 0 stands for the batch's size."""
    return build.node("Reshape", value, build.constant("shape", torch.tensor([0, *shape])))
