"""Small models of sequences as people write them in Keras: convolutions, recurrences, attention."""

import keras
from keras import Model, Sequential, layers

from tests.keras.zoo import chain, model
from tests.keras.zoo_of_images import convolution


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
