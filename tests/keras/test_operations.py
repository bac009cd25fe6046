"""Functions of keras.ops within a Functional model: each computes what Keras computes."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers, ops

from service.contract.problem import Trouble
from service.descriptions import parse
from tests.keras.real import same

CASES: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": lambda a, b: a + b,
    "a - 1": lambda a, _: a - 1.0,
    "1 - a": lambda a, _: 1.0 - a,
    "2 a": lambda a, _: 2 * a,
    "a / (b² + 1)": lambda a, b: a / (b**2 + 1.0),
    "a / 2": lambda a, _: a / 2.0,
    "a³": lambda a, _: ops.power(a, 3.0),
    "-a": lambda a, _: -a,
    "|a|": lambda a, _: abs(a),
    "maximum": ops.maximum,
    "minimum of a number": lambda a, _: ops.minimum(a, 0.5),
    "√(a² + 1)": lambda a, _: ops.sqrt(ops.square(a) + 1.0),
    "1 / √(a² + 1)": lambda a, _: ops.rsqrt(ops.square(a) + 1.0),
    "log1p a²": lambda a, _: ops.log1p(ops.square(a)),
    "expm1": lambda a, _: ops.expm1(a),
    "log exp": lambda a, _: ops.log(ops.exp(a) + 1.0),
    "sin + cos": lambda a, b: ops.sin(a) + ops.cos(b),
    "clip": lambda a, _: ops.clip(a, -0.5, 1.0),
    "cast": lambda a, _: ops.cast(a, "float32"),
    "normalize": lambda a, _: ops.normalize(a, axis=-1),
    "broadcast": lambda a, b: a * ops.mean(b, axis=1, keepdims=True),
    "mean": lambda a, _: ops.mean(a, axis=1),
    "sum of two axes": lambda a, _: ops.sum(a, axis=(1, 2)),
    "sum, kept": lambda a, _: ops.sum(a, axis=-1, keepdims=True),
    "max": lambda a, _: ops.max(a, axis=1),
    "min": lambda a, _: ops.min(a, axis=-1),
    "variance": lambda a, _: ops.var(a, axis=1),
    "deviation": lambda a, _: ops.std(a, axis=-1, keepdims=True),
    "average": lambda a, _: ops.average(a, axis=1),
    "logsumexp": lambda a, _: ops.logsumexp(a, axis=-1),
    "norm": lambda a, _: ops.norm(a, axis=-1),
    "matmul": lambda a, b: a @ ops.transpose(b, (0, 2, 1)),
    "reshape": lambda a, _: ops.reshape(a, (-1, 3, 8)),
    "reshape, one size open": lambda a, _: ops.reshape(a, (-1, 2, 3, 4)),
    "swapaxes": lambda a, _: ops.swapaxes(a, 1, 2),
    "expand and squeeze": lambda a, _: ops.squeeze(ops.expand_dims(a, 1), 1),
    "expand the last": lambda a, _: ops.expand_dims(a, -1),
    "concatenate": lambda a, b: ops.concatenate([a, b], axis=-1),
    "stack": lambda a, b: ops.stack([a, b], axis=1),
    "pad": lambda a, _: ops.pad(a, ((0, 0), (1, 2), (0, 0))),
    "the first step": lambda a, _: a[:, 0],
    "the last step": lambda a, _: a[:, -1, :],
    "a slice": lambda a, _: a[:, 1:3, 2:],
    "every other": lambda a, _: a[:, ::2],
    "the last of each": lambda a, _: a[..., -1],
    "softmax": lambda a, _: ops.softmax(a, axis=-1),
    "relu": lambda a, _: ops.relu(a),
    "gelu": lambda a, _: ops.gelu(a, approximate=False),
    "leaky_relu": lambda a, _: ops.leaky_relu(a, 0.3),
    "silu": lambda a, _: ops.silu(a),
}


@pytest.mark.parametrize("name", CASES)
def test_a_function_is_kerass(name: str) -> None:
    given, other = keras.Input((4, 6), name="one"), keras.Input((4, 6), name="other")
    hidden = layers.Dense(6)(given)
    same(keras.Model([given, other], CASES[name](hidden, layers.Dense(6)(other))), tolerance=2e-5)


@pytest.mark.parametrize(
    "function",
    [ops.sum, ops.argsort, lambda a: a[1:2, 0], ops.transpose],
    ids=["sum over the batch", "argsort", "part of the batch", "the batch moved"],
)
def test_what_would_join_samples_or_is_not_known_is_refused(function: Callable[[Any], Any]) -> None:
    given = keras.Input((4, 6))
    model = keras.Model(given, function(layers.Dense(6)(given)))
    with pytest.raises(Trouble) as caught:
        parse(model.to_json().encode())
    assert caught.value.pointer is not None
    assert caught.value.pointer.startswith("/config/layers/2")


def test_a_model_that_gives_an_output_that_no_layer_has_is_refused() -> None:
    given = keras.Input((4, 6))
    document = keras.Model(given, ops.split(given, 2, axis=1)).to_json()
    with pytest.raises(Trouble) as caught:
        parse(document.replace('"indices_or_sections": 2', '"indices_or_sections": 1').encode())
    assert caught.value.pointer == "/config/output_layers"
