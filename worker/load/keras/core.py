"""Dense."""

from service.keras.base import Call
from service.keras.layers.core import Dense
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.activations import activated
from worker.load.keras.weights import weight


@lowers("Dense")
def dense(layer: Dense, build: Builder, call: Call[Signal]) -> str:
    """Gemm on vectors, MatMul and Add on all else, then the activation."""
    features = call.one.shape[-1] or 0
    kernel = weight(layer, build, "kernel", (features, layer.units))
    shift = (weight(layer, build, "bias", (layer.units,)),) if layer.use_bias else ()
    if len(call.one.shape) == 1:
        value = build.node("Gemm", call.one.value, kernel, *shift)
    else:
        value = build.node("MatMul", call.one.value, kernel)
        value = build.node("Add", value, *shift, role="add") if shift else value
    return activated(layer.activation, build, value, role="activation")
