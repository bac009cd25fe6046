"""Dense layers and tables."""

from service.contract.architecture import Init, Shape
from service.contract.architecture.dense import Dense, Embedding
from worker.load.builder import Builder
from worker.load.drawing import law_of
from worker.load.lowering import lowering
from worker.network.graph import Law
from worker.network.laws import Fans, Normal, torch_default


@lowering("dense")
def dense(layer: Dense, build: Builder, value: str, shape: Shape) -> str:
    """Gemm on vectors, MatMul and Add on sequences."""
    return affine(build, value, shape, layer.units, layer.init, bias=layer.bias)


@lowering("embedding")
def embedding(layer: Embedding, build: Builder, value: str, shape: Shape) -> str:
    """Gather rows of a table; PyTorch draws it from the standard normal."""
    size = (layer.classes, layer.dim)
    law = law_of(layer.init.kernel, size, Fans(1, layer.dim), Normal(size, 1.0))
    return build.node("Gather", build.parameter("kernel", law), value, axis=0)


def affine(build: Builder, value: str, shape: Shape, units: int, init: Init, *, bias: bool) -> str:
    """Put down x K + b along the last axis, K of the shape (features, units)."""
    fan = Fans(shape[-1], units)
    size = (shape[-1], units)
    kernel = build.parameter("kernel", law_of(init.kernel, size, fan, torch_default(size, fan)))
    shift = [build.parameter("bias", bias_law(init, (units,), fan))] if bias else []
    if len(shape) == 1:
        return build.node("Gemm", value, kernel, *shift)
    product = build.node("MatMul", value, kernel)
    return build.node("Add", product, *shift, role="add") if bias else product


def bias_law(init: Init, size: Shape, fan: Fans) -> Law:
    """Return the law of a bias whose kernel has these fans."""
    return law_of(init.bias_law, size, fan, torch_default(size, fan))
