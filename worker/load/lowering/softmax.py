"""Activations along an axis."""

from service.contract.architecture import Shape
from service.contract.architecture.softmax import Glu, Softmax, Sparsemax
from worker.load.builder import Builder
from worker.load.formulas import halves, put
from worker.load.lowering import lowering


@lowering("softmax", "log_softmax", "softmin")
def softmax(layer: Softmax, build: Builder, value: str, shape: Shape) -> str:
    """Softmax or LogSoftmax."""
    if layer.kind == "softmin":
        value = build.node("Neg", value, role="turned")
    return put("log_softmax" if layer.kind == "log_softmax" else "softmax", build, value, axis=layer.along(shape) + 1)


@lowering("sparsemax")
def sparsemax(layer: Sparsemax, build: Builder, value: str, shape: Shape) -> str:
    """max(x - τ, 0)."""
    return put("sparsemax", build, value, axis=layer.along(shape) + 1)


@lowering("glu")
def glu(layer: Glu, build: Builder, value: str, shape: Shape) -> str:
    """Split, and Mul of the first half by the gate."""
    first, second = halves(build, value, "", layer.along(shape) + 1)
    gate = second if layer.gate == "none" else put(layer.gate, build, second, role="gate")
    return build.node("Mul", first, gate)
