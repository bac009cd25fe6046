"""EinsumDense, as a matrix product and as what else its equation says."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.keras.real import same
from worker.network.graph import stream


@pytest.mark.parametrize(
    ("shape", "equation", "output", "bias", "operator"),
    [
        ((5, 6), "abc,cd->abd", (None, 4), "d", "MatMul"),
        ((5, 6), "abc,cd->abd", (None, 4), None, "MatMul"),
        ((5, 6), "...x,xy->...y", 4, "y", "MatMul"),
        ((6,), "ab,bc->ac", 3, "c", "MatMul"),
        ((5, 6), "abc,cde->abde", (None, 2, 3), "de", "MatMul"),
        ((5, 6), "abc,cde->abde", (None, 2, 3), "e", "MatMul"),
        ((5, 6), "abc,cde->abde", (None, 2, 3), "d", "MatMul"),
        ((5, 2, 3), "abcd,cde->abe", (None, 4), "e", "MatMul"),
        ((5, 2, 3), "...cd,cde->...e", 4, "e", "MatMul"),
        ((5, 6), "abc,bd->adc", (4, None), "d", "Einsum"),
        ((5, 6), "ab...,bc->ac...", 4, "c", "Einsum"),
        ((5, 6), "abc,bce->abe", (5, 4), "be", "Einsum"),
        ((5, 6), "abc,dc->abd", (None, 4), "d", "Einsum"),
        ((5, 6), "abc,c->abc", (5, 6), "c", "Einsum"),
    ],
)
def test_einsum_dense_is_kerass(
    shape: tuple[int, ...],
    equation: str,
    output: Any,  # noqa: ANN401  Keras's forms
    bias: str | None,
    operator: str,
) -> None:
    layer = layers.EinsumDense(equation, output, activation="tanh", bias_axes=bias, bias_initializer="random_normal")
    graph = same(keras.Sequential([layers.Input(shape), layer]))
    assert operator in {node.op for node in graph.nodes}


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
def test_fans_are_counted_along_the_equations_axes(mode: str) -> None:
    """A kernel of (64, 4, 32): 64 come in, and 128 go out, as in MultiHeadAttention."""
    form = {"class_name": "VarianceScaling", "config": {"mode": mode, "distribution": "uniform"}}
    layer = layers.EinsumDense("abc,cde->abde", (None, 4, 32), kernel_initializer=keras.initializers.get(form))
    model = keras.Sequential([layers.Input((3, 64)), layer])
    (ours,) = (each.law for each in same(model).parameters.values())
    assert ours is not None
    largest = np.sqrt(3 / {"fan_in": 64, "fan_out": 128, "fan_avg": 96}[mode])
    assert ours(stream(0, "kernel")).abs().max().item() == pytest.approx(largest, rel=0.01)
    assert layer.kernel.value.detach().abs().max().item() == pytest.approx(largest, rel=0.01)
