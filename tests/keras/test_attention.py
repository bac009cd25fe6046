"""Keras's attention, with and without kernels."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.keras.real import same
from worker.network.graph import stream

GENERATOR = np.random.default_rng(3)


def numbers(*shape: int) -> Any:  # noqa: ANN401  numpy's arrays
    """Return normal numbers."""
    return GENERATOR.standard_normal(shape).astype(np.float32)


def tokens(*shape: int) -> Any:  # noqa: ANN401  numpy's arrays
    """Return tokens whose ends are zeros, which are padding; the first sample has no other."""
    found = GENERATOR.integers(1, 9, shape)
    found[0, :] = 0
    found[1, 2:] = 0
    return found


@pytest.fixture(autouse=True)
def plainly() -> Iterator[None]:
    """Let torch compute as the formula says: its fast kernel loses the gradient of rows that are masked all over."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def shaken(model: keras.Model) -> keras.Model:
    """Return the model with other biases and scales than zeros and ones."""
    for each in model.trainable_variables:
        if "kernel" not in each.path:
            each.assign(each.value + 0.2 * torch.from_numpy(numbers(*each.shape)))
    return model


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"use_bias": False},
        {"value_dim": 3},
        {"output_shape": 5},
        {"output_shape": (2, 5)},
        {"use_gate": True, "value_dim": 2},
        {"sliding_window": 2},
        {"dropout": 0.2},
        {"kernel_initializer": "he_normal", "bias_initializer": "ones"},
    ],
    ids=str,
)
@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_kerass(form: dict[str, Any], causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    given = keras.Input((6, 8))
    layer = layers.MultiHeadAttention(2, 4, **form)
    same(shaken(keras.Model(given, layer(given, given, use_causal_mask=causal))))


@pytest.mark.parametrize("form", [{}, {"dropout": 0.1}, {"value_dim": 3, "use_gate": True}], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_cross_attention_is_kerass(form: dict[str, Any], causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    query, value, key = keras.Input((6, 8)), keras.Input((5, 7)), keras.Input((5, 3))
    layer = layers.MultiHeadAttention(2, 4, **form)
    same(shaken(keras.Model([query, value, key], layer(query, value, key, use_causal_mask=causal))))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3, 4, 6), None), ((3, 4, 6), (2,)), ((3, 4, 6), (1,)), ((3, 4, 6), -2), ((2, 3, 4, 6), (1, 3))],
)
def test_attention_along_other_axes_is_kerass(shape: tuple[int, ...], axes: Any) -> None:  # noqa: ANN401  Keras's forms
    given = keras.Input(shape)
    layer = layers.MultiHeadAttention(2, 4, attention_axes=axes, value_dim=3)
    same(shaken(keras.Model(given, layer(given, given))))


@pytest.mark.parametrize(
    "form", [{}, {"use_bias": False}, {"dropout": 0.1}, {"use_gate": True}, {"sliding_window": 3}], ids=str
)
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_grouped_attention_is_kerass(form: dict[str, Any], groups: int, causal: bool) -> None:  # noqa: FBT001  pytest's
    given = keras.Input((6, 8))
    layer = layers.GroupQueryAttention(3, 4, groups, **form)
    same(shaken(keras.Model(given, layer(given, given, use_causal_mask=causal))))


@pytest.mark.parametrize("kind", ["multi-head", "grouped", "plain", "additive"])
@pytest.mark.parametrize("causal", [False, True])
def test_returned_weights_are_kerass(kind: str, causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    query, value = keras.Input((6, 8)), keras.Input((6, 8))
    how = {"return_attention_scores": True, "use_causal_mask": causal}
    made = {
        "multi-head": lambda: layers.MultiHeadAttention(2, 4)(query, value, **how),
        "grouped": lambda: layers.GroupQueryAttention(3, 4, 2)(query, value, **how),
        "plain": lambda: layers.Attention(use_scale=True)([query, value], **how),
        "additive": lambda: layers.AdditiveAttention()([query, value], **how),
    }[kind]()
    same(shaken(keras.Model([query, value], list(made))))


@pytest.mark.parametrize("kind", [layers.MultiHeadAttention(2, 4), layers.GroupQueryAttention(3, 4, 2)])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_given_mask_is_kerass(kind: keras.Layer, rank: int, dtype: str, causal: bool) -> None:  # noqa: FBT001  pytest's
    layer = type(kind).from_config({**kind.get_config(), "name": "a"})
    query, value, mask = keras.Input((6, 8), name="q"), keras.Input((5, 8), name="v"), None
    size = (1, 6, 5) if rank == 4 else (6, 5)
    mask = keras.Input(size, dtype=dtype, name="m")
    causal = causal and rank == 3  # Keras joins masks before it gives them an axis for heads
    model = keras.Model([query, value, mask], layer(query, value, attention_mask=mask, use_causal_mask=causal))
    seen = GENERATOR.integers(0, 2, (3, *size))
    seen[1, ..., 2, :] = 0
    same(shaken(model), {"q": numbers(3, 6, 8), "v": numbers(3, 5, 8), "m": seen.astype(dtype)})


@pytest.mark.parametrize("form", [{}, {"sliding_window": 2}], ids=str)
@pytest.mark.parametrize("kind", ["multi-head", "grouped", "plain"])
def test_attention_over_an_open_number_of_steps_is_kerass(form: dict[str, Any], kind: str) -> None:
    query, value = keras.Input((None, 8), name="q"), keras.Input((None, 8), name="v")
    made = {
        "multi-head": lambda: layers.MultiHeadAttention(2, 4, **form)(query, value, use_causal_mask=True),
        "grouped": lambda: layers.GroupQueryAttention(3, 4, 2, **form)(query, value, use_causal_mask=True),
        "plain": lambda: layers.Attention()([query, value], use_causal_mask=True),
    }[kind]()
    same(shaken(keras.Model([query, value], made)), {"q": numbers(3, 7, 8), "v": numbers(3, 5, 8)})


@pytest.mark.parametrize(
    "layer",
    [
        layers.Attention(),
        layers.Attention(use_scale=True, dropout=0.2),
        layers.Attention(score_mode="concat"),
        layers.Attention(score_mode="concat", use_scale=True),
        layers.AdditiveAttention(),
        layers.AdditiveAttention(use_scale=False),
    ],
)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_without_kernels_is_kerass(layer: keras.Layer, count: int, causal: bool) -> None:  # noqa: FBT001  pytest's
    given = [keras.Input((6, 8)), keras.Input((5, 3 if count == 3 else 8)), keras.Input((5, 8))][:count]
    layer = type(layer).from_config({**layer.get_config(), "name": "a"})
    same(shaken(keras.Model(given, layer(given, use_causal_mask=causal))))


@pytest.mark.parametrize("causal", [False, True])
def test_masks_that_attention_without_kernels_is_called_with_are_kerass(causal: bool) -> None:  # noqa: FBT001  pytest's
    query, value = keras.Input((6, 8), name="q"), keras.Input((5, 8), name="v")
    masks = [keras.Input((6,), dtype="bool", name="qm"), keras.Input((5,), dtype="bool", name="vm")]
    made = layers.Attention(use_scale=True)([query, value], mask=masks, use_causal_mask=causal)
    shown = {"qm": tokens(3, 6) > 0, "vm": tokens(3, 5) > 0}
    same(shaken(keras.Model([query, value, *masks], made)), {"q": numbers(3, 6, 8), "v": numbers(3, 5, 8), **shown})


@pytest.mark.parametrize(
    "layer", [layers.MultiHeadAttention(2, 4), layers.GroupQueryAttention(3, 4, 2)], ids=["multi-head", "grouped"]
)
def test_attention_that_is_called_twice_has_one_set_of_weights(layer: keras.Layer) -> None:
    given, other = keras.Input((6, 8)), keras.Input((5, 8))
    layer = type(layer).from_config({**layer.get_config(), "name": "a"})
    graph = same(shaken(keras.Model([given, other], layer(layer(given, given), other, use_causal_mask=True))))
    assert len(graph.parameters) == 8


@pytest.mark.parametrize("kind", ["zeros", "orthogonal", "he_uniform", "lecun_normal", "random_normal"])
def test_each_initializer_draws_kernels_as_keras_does(kind: str) -> None:
    """The spread of every kernel, whose axes in and out Keras tells its initializers."""
    given = keras.Input((6, 64))
    layer = layers.MultiHeadAttention(4, 24, value_dim=40, kernel_initializer=kind, name="a")
    model = keras.Model(given, layer(given, given))
    theirs = {each.path.replace("a/", "a.", 1).replace("/", "."): each.value.detach().clone() for each in model.weights}
    ours = {name: each.law for name, each in same(model).parameters.items() if name.endswith("kernel")}
    assert len(ours) == 4
    for name, law in ours.items():
        assert law is not None
        drawn = law(stream(0, name))
        assert drawn.std().item() == pytest.approx(theirs[name].std().item(), rel=0.1)


def test_every_kernel_is_regularized() -> None:
    given = keras.Input((6, 8))
    layer = layers.MultiHeadAttention(2, 4, kernel_regularizer="l2", use_gate=True, name="a")
    graph = same(keras.Model(given, layer(given, given)))
    punished = {name for name, each in graph.parameters.items() if each.penalty}
    assert punished == {f"a.{part}.kernel" for part in ("query", "key", "value", "gate", "attention_output")}
