"""keras.ops.dot_product_attention."""

import json
from typing import Any

import keras
import pytest
from keras import layers, ops
from torch.nn.attention import SDPBackend, sdpa_kernel

from service.contract.problem import Trouble
from service.descriptions import parse
from tests.keras.real import same
from tests.keras.test_attention import GENERATOR, numbers


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("form", [{}, {"is_causal": True}, {"scale": 0.3}], ids=str)
def test_dot_product_attention_is_kerass(heads: int, form: dict[str, Any]) -> None:
    query, key, value = keras.Input((6, 4, 3)), keras.Input((5, heads, 3)), keras.Input((5, heads, 2))
    made = ops.dot_product_attention(layers.Dense(3)(query), layers.Dense(3, use_bias=False)(key), value, **form)
    same(keras.Model([query, key, value], made))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 4])
def test_its_mask_is_kerass(causal: bool, heads: int) -> None:  # noqa: FBT001  a parameter of pytest's
    query, key = keras.Input((6, 4, 3), name="q"), keras.Input((5, 4, 3), name="k")
    mask = keras.Input((heads, 6, 5), dtype="bool", name="m")
    model = keras.Model([query, key, mask], ops.dot_product_attention(query, key, key, mask=mask, is_causal=causal))
    seen = GENERATOR.integers(0, 2, (3, heads, 6, 5)).astype(bool)
    with sdpa_kernel(SDPBackend.MATH):  # the fast kernel loses the gradient of rows that are masked all over
        same(model, {"q": numbers(3, 6, 4, 3), "k": numbers(3, 5, 4, 3), "m": seen})


def test_its_bias_is_kerass() -> None:
    query, key, bias = keras.Input((6, 4, 3)), keras.Input((5, 4, 3)), keras.Input((4, 6, 5))
    same(keras.Model([query, key, bias], ops.dot_product_attention(query, key, key, bias=bias)))


def test_a_cap_of_logits_is_refused() -> None:
    query = keras.Input((6, 4, 3))
    whole = json.loads(keras.Model(query, ops.dot_product_attention(query, query, query)).to_json())
    whole["config"]["layers"][1]["config"]["attn_logits_soft_cap"] = 5.0
    with pytest.raises(Trouble, match="attn_logits_soft_cap") as caught:
        parse(json.dumps(whole).encode())
    assert caught.value.pointer == "/config/layers/1/config/attn_logits_soft_cap"
