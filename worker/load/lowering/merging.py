"""Layers that join several values."""

from collections.abc import Sequence

from service.contract.architecture import Signal
from service.contract.architecture.merging import Elementwise
from worker.load.builder import Builder
from worker.load.lowering import joining


@joining("add")
def elementwise(layer: Elementwise, build: Builder, values: Sequence[str], signals: Sequence[Signal]) -> str:
    """Sum."""
    return build.node("Sum", *values)
