"""Masks that layers make (Embedding's of padding, Masking's) on their way through attention, as in Keras."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import keras
import pytest
from keras import layers
from torch.nn.attention import SDPBackend, sdpa_kernel

from service.contract.problem import Invalid, UnsupportedModel
from service.descriptions import parse
from tests.keras.real import same
from tests.keras.test_attention import numbers, shaken, tokens

pytestmark = pytest.mark.filterwarnings(r"ignore:[\s\S]*does not support masking:UserWarning")

Attend = Callable[..., Any]

KINDS: dict[str, Callable[[], Attend]] = {
    "multi-head": lambda: layers.MultiHeadAttention(2, 4),
    "multi-head with dropout": lambda: layers.MultiHeadAttention(2, 4, dropout=0.1),
    "multi-head in a window": lambda: layers.MultiHeadAttention(2, 4, sliding_window=2),
    "grouped": lambda: layers.GroupQueryAttention(3, 4, 2),
    "grouped with dropout": lambda: layers.GroupQueryAttention(3, 4, 2, dropout=0.1),
    "plain": lambda: listed(layers.Attention()),
    "additive": lambda: listed(layers.AdditiveAttention()),
}


def listed(layer: keras.Layer) -> Attend:
    """Return a layer that takes a list as one that takes a query, a value and a key."""
    return lambda *given, **how: layer([given[0], given[1], *given[2:]], **how)


@pytest.fixture(autouse=True)
def plainly() -> Iterator[None]:
    """Let torch compute as the formula says: its fast kernel loses the gradient of rows that are masked all over."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def padded(name: str, steps: int) -> tuple[Any, Any]:
    """Return tokens, and what a table makes of them that masks zeros."""
    given = keras.Input((steps,), dtype="int32", name=name)
    return given, layers.Embedding(9, 8, mask_zero=True)(given)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_not_attended_to(kind: str, causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    (given, value) = padded("t", 6)
    made = KINDS[kind]()(value, value, use_causal_mask=causal)
    same(shaken(keras.Model(given, made)), {"t": tokens(3, 6)})


@pytest.mark.parametrize("kind", KINDS)
def test_queries_values_and_keys_have_masks_of_their_own(kind: str) -> None:
    ins, outs = zip(padded("q", 6), padded("v", 5), padded("k", 5), strict=True)
    made = KINDS[kind]()(*outs)
    batch = {"q": tokens(3, 6), "v": tokens(3, 5), "k": tokens(3, 5)[::-1].copy()}
    same(shaken(keras.Model(list(ins), made)), batch)


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", ["multi-head", "grouped", "plain"])
def test_the_queries_mask_goes_on_behind_attention(first: str, second: str) -> None:
    given, value = padded("t", 6)
    made = KINDS[first]()(value, value)
    same(shaken(keras.Model(given, KINDS[second]()(made, made))), {"t": tokens(3, 6)})


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", ["multi-head", "grouped", "plain"])
def test_who_reads_a_tensor_behind_attention_sees_the_masks_that_keras_leaves_it(first: str, second: str) -> None:
    """MultiHeadAttention takes masks off what it reads, while it computes; a layer that comes later sees none."""
    given, value = padded("t", 6)
    made = KINDS[first]()(value, value)
    same(shaken(keras.Model(given, KINDS[second]()(made, value))), {"t": tokens(3, 6)})


@pytest.mark.parametrize("kind", ["multi-head", "grouped", "multi-head with dropout"])
@pytest.mark.parametrize("last", ["pool", "attend"])
def test_masks_on_residual_branches_are_kerass(kind: str, last: str) -> None:
    """Add passes no mask on where one is missing, as behind MultiHeadAttention; pooling's is in the file."""
    given, value = padded("t", 6)
    for _ in range(2):
        value = layers.LayerNormalization()(layers.Add()([value, KINDS[kind]()(value, value)]))
    end = layers.GlobalAveragePooling1D()(value) if last == "pool" else layers.MultiHeadAttention(1, 2)(value, value)
    steps = tokens(3, 6)
    steps[:, 0] = 1  # the mean over no steps is not a number, here as there
    same(shaken(keras.Model(given, end)), {"t": steps})


@pytest.mark.parametrize("kind", ["multi-head", "grouped", "multi-head with dropout"])
def test_masks_of_the_call_join_those_of_the_tensors(kind: str) -> None:
    given, value = padded("t", 6)
    seen = keras.Input((6, 6), dtype="bool", name="m")
    made = KINDS[kind]()(value, value, attention_mask=seen, use_causal_mask=True)
    same(shaken(keras.Model([given, seen], made)), {"t": tokens(3, 6), "m": tokens(3, 6, 6) > 4})


@pytest.mark.parametrize("kind", ["multi-head", "grouped"])
def test_masks_of_steps_may_be_given(kind: str) -> None:
    query, value = keras.Input((6, 8), name="q"), keras.Input((5, 8), name="v")
    masks = [keras.Input((steps,), dtype="bool", name=name) for name, steps in (("qm", 6), ("vm", 5), ("km", 5))]
    made = KINDS[kind]()(query, value, query_mask=masks[0], value_mask=masks[1], key_mask=masks[2])
    shown = {"qm": tokens(3, 6) > 0, "vm": tokens(3, 5) > 2, "km": tokens(3, 5) > 3}
    model = keras.Model([query, value, *masks], made)
    same(shaken(model), {**drawn_for(query, value), **shown})


def drawn_for(*given: Any) -> dict[str, Any]:  # noqa: ANN401  Keras's tensors
    """Return normal numbers for these inputs."""
    return {each.name: numbers(3, *each.shape[1:]) for each in given}


@pytest.mark.parametrize("kind", ["multi-head", "grouped", "multi-head with dropout"])
@pytest.mark.parametrize("shape", [(6, 6), (1, 6, 6), (1, 2, 6, 6), (1, 1, 6)])
def test_a_mask_of_numbers_in_the_file_is_kerass(kind: str, shape: tuple[int, ...]) -> None:
    if len(shape) > 3 and kind == "grouped":
        shape = (1, 4, 6, 6)
    given = keras.Input((6, 8))
    seen = keras.ops.tril(keras.ops.ones(shape, dtype="bool"))
    same(shaken(keras.Model(given, KINDS[kind]()(given, given, attention_mask=seen))))


@pytest.mark.parametrize("name", ["query", "value", "key"])
def test_other_arguments_of_numbers_are_refused(name: str) -> None:
    given = keras.Input((6, 8))
    how = {"query": given, "value": given, name: keras.ops.ones((1, 6, 8))}
    text = keras.Model(given, layers.MultiHeadAttention(2, 4)(**how)).to_json()
    with pytest.raises(UnsupportedModel, match=name) as caught:
        parse(text.encode())
    assert caught.value.pointer == "/config/layers/1/inbound_nodes/0"


@pytest.mark.parametrize("name", ["query_mask", "value_mask", "attention_mask"])
def test_a_mask_of_another_size_is_refused(name: str) -> None:
    given, seen = keras.Input((6, 8)), keras.Input((6, 6) if name == "attention_mask" else (6,), name="seen")
    whole = json.loads(
        keras.Model([given, seen], layers.MultiHeadAttention(2, 4)(given, given, **{name: seen})).to_json()
    )
    (shown,) = (each["config"] for each in whole["config"]["layers"] if each["config"]["name"] == "seen")
    shown["batch_shape"][-1] = 5
    with pytest.raises(Invalid, match=f"{name}.*5") as caught:
        parse(json.dumps(whole).encode())
    assert caught.value.pointer == "/config/layers/2"


def test_masks_over_other_axes_than_time_are_refused() -> None:
    given, seen = keras.Input((3, 6, 8)), keras.Input((3, 3))
    made = layers.MultiHeadAttention(2, 4, attention_axes=1)(given, given, attention_mask=seen)
    with pytest.raises(UnsupportedModel, match="time"):
        parse(keras.Model([given, seen], made).to_json().encode())
