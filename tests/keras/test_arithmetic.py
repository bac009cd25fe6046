"""Functions of keras.ops within functional models."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from service.contract.problem import Trouble
from service.descriptions import parse
from tests.keras.real import same

Function = Callable[..., Any]


def model(function: Function, *shapes: tuple[int, ...]) -> keras.Model:
    """Return a model of this function behind dense layers, whose weights show gradients."""
    given = [keras.Input(shape) for shape in shapes]
    dense = [
        layers.Dense(shape[-1], kernel_initializer="random_normal")(each)
        for shape, each in zip(shapes, given, strict=True)
    ]
    return keras.Model(given, function(*dense))


@pytest.mark.parametrize(
    "name",
    [
        "abs", "absolute", "arctan", "ceil", "cos", "cosh", "erf", "exp", "expm1", "floor", "negative", "sign", "sin",
        "sinh", "square", "tan", "tanh", "elu", "celu", "gelu", "leaky_relu", "hard_shrink", "soft_shrink",
        "squareplus", "softmax", "log_softmax", "sparsemax", "glu", "hard_sigmoid", "hard_silu", "hard_tanh",
        "log_sigmoid", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "sparse_plus",
        "sparse_sigmoid", "tanh_shrink", "normalize", "stop_gradient",
    ],
)  # fmt: skip
def test_functions_of_one_tensor_are_kerass(name: str) -> None:
    """With the tensor itself added, so that those that step have a gradient."""
    same(model(lambda x: getattr(ops, name)(x) + (0 if name == "glu" else x), (4, 6)), tolerance=2e-5)


@pytest.mark.parametrize("name", ["log", "log10", "log1p", "log2", "reciprocal", "rsqrt", "sqrt"])
def test_functions_of_a_positive_tensor_are_kerass(name: str) -> None:
    same(model(lambda x: getattr(ops, name)(ops.square(x) + 1), (4, 6)), tolerance=2e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: x / (1 + y * y),
        lambda x, y: -x + ops.maximum(x, y) - ops.minimum(y, 0.5),
        lambda x, y: (x + 3) ** 2 + 2 ** ops.tanh(y),
        lambda x, y: 1 - x + 2 / (3 + ops.abs(y)),
        lambda x, y: x + y * np.ones((6,), "float32") * np.ones((4, 1), "float32"),
        lambda x, y: ops.add(x, np.arange(6)) * (y + True),
        lambda x, y: ops.where(x > 0, x, y),
        lambda x, y: ops.where(ops.logical_or(x > y, ops.logical_not(y <= 0.2)), x, 0),
        lambda x, y: ops.where(ops.logical_and(x >= y, x != 0), ops.where(x == y, x, y), -x),
        lambda x, y: ops.cast(x < y, "float32") * y + ops.mod(x, 0.7) + ops.stop_gradient(x) // ops.stop_gradient(y),
        lambda x, y: ops.clip(x, -0.5, 0.5) * ops.ones_like(y) + ops.zeros_like(x),
        lambda x, y: x * ops.one_hot(ops.argmax(y, axis=-1), 6),
        lambda x, y: ops.gelu(x, approximate=False) + ops.leaky_relu(y, 0.3) + ops.elu(x, 0.5) + ops.softmax(x, axis=1),
        lambda x, y: ops.threshold(x, 0.2, -1) + ops.normalize(y, axis=1, order=1),
    ],
)  # fmt: skip
def test_functions_of_two_tensors_are_kerass(function: Function) -> None:
    same(model(function, (4, 6), (4, 6)), tolerance=2e-5)


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("name", ["mean", "sum", "max", "amax", "min", "amin", "prod", "var", "std", "logsumexp"])
def test_reductions_are_kerass(name: str, keepdims: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    for axis in (1, -1, (1, 2)):
        same(model(lambda x, axis=axis: getattr(ops, name)(x, axis=axis, keepdims=keepdims), (4, 6)), tolerance=2e-5)


def test_lengths_questions_and_sums_are_kerass() -> None:
    same(model(lambda x: [ops.norm(x, axis=-1), ops.norm(x, ord=1, axis=1, keepdims=True)], (4, 6)))
    same(model(lambda x: x * ops.cast(ops.any(x > 1, axis=-1, keepdims=True), "float32"), (4, 6)))
    same(model(lambda x: x * ops.cast(ops.all(x > -1, axis=1, keepdims=True), "float32"), (4, 6)))
    same(model(lambda x: ops.cumsum(x, axis=1), (4, 6)))
    same(model(lambda x: ops.cast(ops.argmin(x, axis=1), "float32") + ops.mean(x, axis=1), (4, 6)))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (ops.mean, "samples must not mix"),
        (lambda x: ops.sum(x, axis=0), "samples must not mix"),
        (lambda x: ops.softmax(x, axis=0), "samples must not mix"),
        (lambda x: x + np.ones((3, 4, 6), "float32"), "would mix samples"),
        (lambda x: x + ops.mean(x, axis=1), "would mix samples"),
        (lambda x: ops.sort(x, axis=1), "Sort"),
    ],
)
def test_functions_that_cannot_be_examined_are_refused(function: Function, said: str) -> None:
    given = keras.Input((4, 6))
    document = keras.Model(given, function(given)).to_json()
    with pytest.raises(Trouble) as caught:
        parse(document.encode())
    assert said in caught.value.detail
    assert (caught.value.pointer or "").startswith("/config/layers/")
