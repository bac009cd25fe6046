"""Chains behind a sequence, for the tests of recurrent layers."""

import keras
import numpy as np
from keras import layers

KINDS = {"SimpleRNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}


def chain(*stack: keras.layers.Layer, time: int | None = 7) -> keras.Model:
    """Return layers behind a sequence of four features."""
    return keras.Sequential([keras.Input((time, 4)), *stack])


def shaken(model: keras.Model) -> keras.Model:
    """Return the model with biases that are not all zero."""
    generator = np.random.default_rng(0)
    for each in model.trainable_variables:
        if each.path.endswith("bias"):
            each.assign(each + generator.uniform(-0.5, 0.5, each.shape).astype(np.float32))
    return model
