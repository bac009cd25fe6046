"""Small models as people write them in Keras: chains of dense layers, branches, shared towers."""

from collections.abc import Callable
from typing import Any

import keras
from keras import Model, Sequential, layers, ops

Build = Callable[[], Model]
ZOO: dict[str, Build] = {}


def model(build: Build) -> Build:
    """Put a model into the zoo under its function's name."""
    ZOO[build.__name__] = build
    return build


def chain(shape: tuple[int | None, ...], *inner: Any, dtype: str = "float32") -> Model:  # noqa: ANN401  Keras's layers
    """Return a Sequential behind an input of this shape."""
    return Sequential([layers.Input(shape, dtype=dtype), *inner])


# chains of dense layers


@model
def logistic_regression() -> Model:
    return chain((8,), layers.Dense(1, activation="sigmoid"))


@model
def perceptron() -> Model:
    return chain((8,), layers.Dense(16, activation="relu"), layers.Dense(16, activation="relu"), layers.Dense(4))


@model
def classifier_with_dropout() -> Model:
    hidden = [each for _ in range(3) for each in (layers.Dense(16, activation="relu"), layers.Dropout(0.3))]
    return chain((12,), *hidden, layers.Dense(5, activation="softmax"))


@model
def deep_sigmoid_chain() -> Model:
    return chain((6,), *(layers.Dense(10, activation="sigmoid") for _ in range(8)), layers.Dense(2))


@model
def self_normalizing() -> Model:
    hidden = [
        layers.Dense(12, activation="selu", kernel_initializer="lecun_normal"),
        layers.AlphaDropout(0.1),
        layers.Dense(12, activation="selu", kernel_initializer="lecun_normal"),
    ]
    return chain((6,), *hidden, layers.Dense(3))


@model
def batch_normalized_perceptron() -> Model:
    hidden = [layers.Dense(16, use_bias=False), layers.BatchNormalization(), layers.Activation("relu")]
    return chain((8,), *hidden, layers.Dense(3))


@model
def layer_normalized_perceptron() -> Model:
    return chain((8,), layers.Dense(16), layers.LayerNormalization(), layers.Activation("gelu"), layers.Dense(3))


@model
def many_activations() -> Model:
    names = (
        "elu",
        "softplus",
        "softsign",
        "tanh",
        "silu",
        "mish",
        "hard_sigmoid",
        "leaky_relu",
        "relu6",
        "exponential",
    )
    return chain((6,), *(layers.Dense(6, activation=name) for name in names))


@model
def regularized() -> Model:
    penalty = keras.regularizers.L1L2(1e-4, 1e-3)
    return chain((6,), layers.Dense(8, activation="relu", kernel_regularizer=penalty), layers.Dense(2))


@model
def frozen_first_layer() -> Model:
    return chain((6,), layers.Dense(8, activation="relu", trainable=False), layers.Dense(2))


@model
def autoencoder() -> Model:
    widths = (16, 8, 3, 8, 16)
    hidden = [layers.Dense(width, activation="relu") for width in widths]
    return chain((24,), *hidden, layers.Dense(24, activation="sigmoid"))


@model
def dense_on_sequences() -> Model:
    return chain((7, 5), layers.Dense(6, activation="relu"), layers.Flatten(), layers.Dense(2))


# graphs


@model
def wide_and_deep() -> Model:
    wide, deep = keras.Input((5,), name="wide"), keras.Input((8,), name="deep")
    hidden = layers.Dense(16, activation="relu")(layers.Dense(16, activation="relu")(deep))
    return Model([wide, deep], layers.Dense(1)(layers.Concatenate()([wide, hidden])))


@model
def siamese() -> Model:
    left, right = keras.Input((8,), name="left"), keras.Input((8,), name="right")
    tower = Sequential([layers.Dense(16, activation="relu"), layers.Dense(4)], name="tower")
    apart = layers.Subtract()([tower(left), tower(right)])
    return Model([left, right], layers.Dense(1, activation="sigmoid")(apart))


@model
def two_heads() -> Model:
    given = keras.Input((8,))
    trunk = layers.Dense(16, activation="relu")(given)
    return Model(given, {"kind": layers.Dense(3, activation="softmax")(trunk), "size": layers.Dense(1)(trunk)})


@model
def residual_perceptron() -> Model:
    given = keras.Input((8,))
    value = given
    for _ in range(3):
        branch = layers.Dense(8)(layers.Dense(16, activation="relu")(value))
        value = layers.Add()([value, branch])
    return Model(given, layers.Dense(2)(value))


@model
def highway() -> Model:
    given = keras.Input((8,))
    gate = layers.Dense(8, activation="sigmoid", bias_initializer=keras.initializers.Constant(-1.0))(given)
    changed = layers.Multiply()([gate, layers.Dense(8, activation="relu")(given)])
    carried = layers.Multiply()([1.0 - gate, given])
    return Model(given, layers.Dense(2)(layers.Add()([changed, carried])))


@model
def matrix_factorization() -> Model:
    user, item = keras.Input((1,), name="user", dtype="int32"), keras.Input((1,), name="item", dtype="int32")
    one = layers.Flatten()(layers.Embedding(20, 6)(user))
    other = layers.Flatten()(layers.Embedding(30, 6)(item))
    return Model([user, item], layers.Dot(axes=1)([one, other]))


@model
def mixture_of_experts() -> Model:
    given = keras.Input((8,))
    experts = [layers.Dense(4, activation="relu")(given) for _ in range(3)]
    gate = layers.Dense(12, activation="sigmoid")(given)
    return Model(given, layers.Dense(2)(layers.Multiply()([layers.Concatenate()(experts), gate])))


@model
def arithmetic_of_tensors() -> Model:
    given = keras.Input((8,))
    value = layers.Dense(8)(given) * 2.0 + 1.0
    value = ops.tanh(value) - given / 3.0
    return Model(given, layers.Dense(2)(value))


@model
def model_in_a_model_in_a_model() -> Model:
    inner = Sequential([layers.Input((6,)), layers.Dense(6, activation="relu")], name="inner")
    given = keras.Input((6,))
    outer = Model(given, layers.Add()([inner(given), given]), name="outer")
    top = keras.Input((6,))
    return Model(top, layers.Dense(2)(outer(outer(top))))
