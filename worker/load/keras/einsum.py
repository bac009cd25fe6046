"""EinsumDense."""

from math import prod

import torch

from service.keras.base import Call
from service.keras.layers.einsum import EinsumDense, Product
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.activations import activated
from worker.load.keras.weights import weight


@lowers("EinsumDense")
def einsum_dense(layer: EinsumDense, build: Builder, call: Call[Signal]) -> str:
    """MatMul where the equation is one, Einsum otherwise; then the bias and the activation."""
    product = layer.product(call.one.shape, build.pointer)
    put = _matrix if product.dense else _einsum
    value = put(layer, build, call.one.value, product)
    return activated(layer.activation, build, value, role="activation")


def _einsum(layer: EinsumDense, build: Builder, value: str, product: Product) -> str:
    size = layer.kernel(product, build.pointer)
    kernel = weight(layer, build, "kernel", size, along=(product.into, product.out))
    made = build.node("Einsum", value, kernel, equation=layer.equation)
    if not layer.bias_axes:
        return made
    return build.node("Add", made, weight(layer, build, "bias", layer.bias(product, build.pointer)), role="add")


def _matrix(layer: EinsumDense, build: Builder, value: str, product: Product) -> str:
    """Put down MatMul with the kernel as (in, out), axes that are summed over or made laid flat around it."""
    size, count = layer.kernel(product, build.pointer), product.dense
    free, flat = len(product.dots) + len(product.given) - count, (prod(size[:count]), prod(size[count:]))
    kernel = weight(layer, build, "kernel", size, into=flat, along=(product.into, product.out))
    if count > 1:
        value = _reshaped(build, value, [*[0] * free, -1], "flat")
    value = build.node("MatMul", value, kernel)
    shift = layer.bias(product, build.pointer)
    whole = shift == size[count:]
    if shift and whole:
        value = build.node("Add", value, weight(layer, build, "bias", shift, into=flat[1:]), role="add")
    if len(size) - count > 1:
        value = _reshaped(build, value, [*[0] * free, *size[count:]], "made")
    return build.node("Add", value, weight(layer, build, "bias", shift), role="add") if shift and not whole else value


def _reshaped(build: Builder, value: str, size: list[int], role: str) -> str:
    return build.node("Reshape", value, build.constant(f"{role}.size", torch.tensor(size)), role=role)
