"""Layers that move numbers about, or drop some."""

import torch

from service.contract.architecture import Shape
from service.contract.architecture.reshaping import Dropout, Flatten, Permute, Reshape
from worker.load.builder import Builder
from worker.load.lowering import lowering


@lowering("flatten")
def flatten(layer: Flatten, build: Builder, value: str, shape: Shape) -> str:
    """Flatten."""
    return build.node("Flatten", value, axis=1)


@lowering("reshape")
def reshape(layer: Reshape, build: Builder, value: str, shape: Shape) -> str:
    """Reshape; 0 stands for the batch's size."""
    return build.node("Reshape", value, build.constant("shape", torch.tensor([0, *layer.shape])))


@lowering("permute")
def permute(layer: Permute, build: Builder, value: str, shape: Shape) -> str:
    """Transpose."""
    return build.node("Transpose", value, perm=(0, *(axis + 1 for axis in layer.axes)))


@lowering("dropout")
def dropout(layer: Dropout, build: Builder, value: str, shape: Shape) -> str:
    """Dropout; whether it drops is the run's choice."""
    return build.node("Dropout", value, build.constant("rate", torch.tensor(layer.rate)))
