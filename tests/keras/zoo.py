"""Fifty small models as people write them in Keras: chains, branches, shared towers, recurrences, attention."""

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


# images


def convolution(filters: int, kernel: int = 3, **more: Any) -> layers.Layer:  # noqa: ANN401  Keras's options
    """Return a convolution that keeps the size."""
    return layers.Conv2D(filters, kernel, padding="same", **more)


@model
def lenet() -> Model:
    return chain(
        (28, 28, 1),
        layers.Conv2D(6, 5, activation="tanh", padding="same"),
        layers.AveragePooling2D(2),
        layers.Conv2D(16, 5, activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(32, activation="tanh"),
        layers.Dense(10, activation="softmax"),
    )


@model
def vgg_like() -> Model:
    stages = [
        each
        for width in (4, 8)
        for each in (
            convolution(width, activation="relu"),
            convolution(width, activation="relu"),
            layers.MaxPooling2D(),
        )
    ]
    return chain((16, 16, 3), *stages, layers.Flatten(), layers.Dense(10))


@model
def batch_normalized_cnn() -> Model:
    stage = [
        convolution(8, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(3, 2, "same"),
    ]
    return chain((15, 15, 3), *stage, layers.GlobalAveragePooling2D(), layers.Dense(4))


@model
def resnet() -> Model:
    given = keras.Input((16, 16, 3))
    value = convolution(8)(given)
    for width, stride in ((8, 1), (16, 2)):
        branch = layers.ReLU()(layers.BatchNormalization()(convolution(width, strides=stride)(value)))
        branch = layers.BatchNormalization()(convolution(width)(branch))
        short = value if stride == 1 else convolution(width, 1, strides=stride)(value)
        value = layers.ReLU()(layers.Add()([short, branch]))
    return Model(given, layers.Dense(4)(layers.GlobalAveragePooling2D()(value)))


@model
def inception() -> Model:
    given = keras.Input((12, 12, 4))
    branches = [convolution(4, size, activation="relu")(given) for size in (1, 3, 5)]
    branches.append(convolution(4, 1)(layers.MaxPooling2D(3, 1, "same")(given)))
    return Model(given, layers.Dense(3)(layers.GlobalMaxPooling2D()(layers.Concatenate()(branches))))


@model
def densenet() -> Model:
    given = keras.Input((8, 8, 4))
    value = given
    for _ in range(3):
        grown = convolution(4, activation="relu")(layers.BatchNormalization()(value))
        value = layers.Concatenate()([value, grown])
    return Model(given, layers.Dense(3)(layers.GlobalAveragePooling2D()(value)))


@model
def mobilenet() -> Model:
    return chain(
        (16, 16, 3),
        layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.Conv2D(16, 1),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4),
    )


@model
def xception() -> Model:
    return chain(
        (12, 12, 3),
        layers.SeparableConv2D(8, 3, padding="same", activation="relu"),
        layers.SeparableConv2D(8, 3, depth_multiplier=2, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    )


@model
def squeeze_and_excitation() -> Model:
    given = keras.Input((8, 8, 6))
    value = convolution(8, activation="relu")(given)
    weight = layers.Dense(2, activation="relu")(layers.GlobalAveragePooling2D()(value))
    weight = layers.Reshape((1, 1, 8))(layers.Dense(8, activation="sigmoid")(weight))
    return Model(given, layers.Dense(3)(layers.Flatten()(layers.Multiply()([value, weight]))))


@model
def unet() -> Model:
    given = keras.Input((16, 16, 1))
    first = convolution(4, activation="relu")(given)
    second = convolution(8, activation="relu")(layers.MaxPooling2D()(first))
    up = layers.Conv2DTranspose(4, 2, strides=2)(second)
    joined = convolution(4, activation="relu")(layers.Concatenate()([first, up]))
    return Model(given, layers.Conv2D(1, 1, activation="sigmoid")(joined))


@model
def upsampling_decoder() -> Model:
    return chain(
        (10,),
        layers.Dense(4 * 4 * 8, activation="relu"),
        layers.Reshape((4, 4, 8)),
        layers.UpSampling2D(interpolation="bilinear"),
        convolution(4, activation="relu"),
        layers.UpSampling2D(),
        convolution(1, activation="tanh"),
    )


@model
def dcgan_generator() -> Model:
    return chain(
        (10,),
        layers.Dense(4 * 4 * 8, use_bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Reshape((4, 4, 8)),
        layers.Conv2DTranspose(4, 5, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Conv2DTranspose(1, 5, strides=2, padding="same", activation="tanh"),
    )


@model
def padded_and_cropped() -> Model:
    return chain(
        (9, 9, 2),
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Conv2D(4, 3, dilation_rate=2),
        layers.Cropping2D(((1, 0), (2, 1))),
        layers.Flatten(),
        layers.Dense(2),
    )


@model
def group_normalized() -> Model:
    return chain((8, 8, 4), convolution(8, groups=2), layers.GroupNormalization(4), layers.GlobalAveragePooling2D())


@model
def volumes() -> Model:
    return chain(
        (6, 6, 6, 1), layers.Conv3D(4, 3, activation="relu"), layers.MaxPooling3D(), layers.Flatten(), layers.Dense(2)
    )


@model
def rescaled_images() -> Model:
    return chain((8, 8, 3), layers.Rescaling(1 / 127.5, offset=-1), convolution(4), layers.GlobalMaxPooling2D())


# time


@model
def causal_convolutions() -> Model:
    stack = [layers.Conv1D(6, 2, padding="causal", dilation_rate=2**depth, activation="relu") for depth in range(3)]
    return chain((16, 3), *stack, layers.GlobalAveragePooling1D(), layers.Dense(2))


@model
def simple_rnn() -> Model:
    return chain((7, 4), layers.SimpleRNN(6), layers.Dense(2))


@model
def stacked_lstm() -> Model:
    return chain((7, 4), layers.LSTM(6, return_sequences=True), layers.LSTM(5), layers.Dense(2))


@model
def bidirectional_gru() -> Model:
    return chain((None, 4), layers.Bidirectional(layers.GRU(5)), layers.Dense(2))


@model
def sentiment() -> Model:
    return chain((None,), layers.Embedding(50, 8), layers.LSTM(6), layers.Dense(1, activation="sigmoid"), dtype="int32")


@model
def masked_sentiment() -> Model:
    return chain((9,), layers.Embedding(5, 8, mask_zero=True), layers.LSTM(6), layers.Dense(1), dtype="int32")


@model
def tagger() -> Model:
    return chain(
        (None,),
        layers.Embedding(50, 8),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(4, activation="softmax")),
        dtype="int32",
    )


@model
def encoder_decoder() -> Model:
    source, target = keras.Input((None, 5), name="source"), keras.Input((None, 4), name="target")
    _, hidden, cell = layers.LSTM(6, return_state=True)(source)
    states = layers.LSTM(6, return_sequences=True)(target, initial_state=[hidden, cell])
    return Model([source, target], layers.Dense(4, activation="softmax")(states))


@model
def convolutions_over_video() -> Model:
    frames = Sequential([convolution(4, activation="relu"), layers.GlobalAveragePooling2D()])
    return chain((4, 8, 8, 1), layers.TimeDistributed(frames), layers.GRU(5), layers.Dense(2))


@model
def repeated_vector() -> Model:
    return chain((5,), layers.RepeatVector(4), layers.LSTM(6, return_sequences=True), layers.Dense(3))


# attention


@model
def transformer_encoder() -> Model:
    given = keras.Input((6, 8))
    value = layers.LayerNormalization(epsilon=1e-6)(given)
    value = layers.Add()([given, layers.MultiHeadAttention(2, 4, dropout=0.1)(value, value)])
    branch = layers.Dense(16, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(value))
    value = layers.Add()([value, layers.Dense(8)(branch)])
    return Model(given, layers.Dense(3)(layers.GlobalAveragePooling1D()(value)))


@model
def tiny_gpt() -> Model:
    tokens = keras.Input((6,), dtype="int32")
    value = layers.Embedding(20, 8)(tokens)
    for _ in range(2):
        seen = layers.LayerNormalization()(value)
        value = value + layers.MultiHeadAttention(2, 4)(seen, seen, use_causal_mask=True)
        value = value + layers.Dense(8)(layers.Dense(32, activation="gelu")(layers.LayerNormalization()(value)))
    return Model(tokens, layers.Dense(20)(layers.LayerNormalization()(value)))


@model
def vision_transformer() -> Model:
    given = keras.Input((8, 8, 3))
    value = layers.Reshape((16, 8))(layers.Conv2D(8, 2, strides=2)(given))
    seen = layers.LayerNormalization()(value)
    value = layers.Add()([value, layers.MultiHeadAttention(2, 4)(seen, seen)])
    return Model(given, layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(value))))


@model
def luong_attention() -> Model:
    source, target = keras.Input((6, 5), name="source"), keras.Input((4, 5), name="target")
    encoded = layers.GRU(6, return_sequences=True)(source)
    decoded = layers.GRU(6, return_sequences=True)(target)
    context = layers.Attention(use_scale=True)([decoded, encoded])
    return Model([source, target], layers.Dense(3)(layers.Concatenate()([decoded, context])))


@model
def bahdanau_attention() -> Model:
    query, value = keras.Input((4, 6), name="query"), keras.Input((5, 6), name="value")
    return Model([query, value], layers.Dense(2)(layers.AdditiveAttention()([query, value])))


@model
def grouped_query_attention() -> Model:
    given = keras.Input((6, 8))
    return Model(given, layers.Dense(2)(layers.GroupQueryAttention(4, 4, 2)(given, given)))


@model
def mixer() -> Model:
    given = keras.Input((6, 8))
    mixed = layers.Permute((2, 1))(layers.LayerNormalization()(given))
    mixed = layers.Permute((2, 1))(layers.Dense(6)(layers.Dense(12, activation="gelu")(mixed)))
    value = layers.Add()([given, mixed])
    return Model(given, layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")(value))
