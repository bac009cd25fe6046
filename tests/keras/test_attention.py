"""Keras's attention, with and without kernels."""

from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers

from tests.keras.real import same

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
