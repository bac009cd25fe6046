"""Functions of keras.ops that multiply and sum."""

from service.keras.base import Call
from service.keras.layers.products import Einsum, Matmul
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.operands import operands


@lowers("ops.Matmul", "ops.Dot")
def matmul(layer: Matmul, build: Builder, call: Call[Signal]) -> str:
    """MatMul."""
    values, _ = operands(build, [call.get(name) for name in layer.parameters], "float32")
    return build.node("MatMul", *values)


@lowers("ops.Einsum")
def einsum(layer: Einsum, build: Builder, call: Call[Signal]) -> str:
    """Einsum."""
    values, _ = operands(build, call.leaves, "float32")
    return build.node("Einsum", *values, equation=layer.subscripts.replace(" ", ""))
