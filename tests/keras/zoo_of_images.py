"""Small models of images as people write them in Keras."""

from typing import Any

import keras
from keras import Model, layers

from tests.keras.zoo import chain, model


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
