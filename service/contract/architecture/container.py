"""Layers that hold layers, and the closed list of all kinds."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.activation import Activation, Elu, Gelu, LeakyRelu, Prelu, Softmax
from service.contract.architecture.attention import PositionalEmbedding, SelfAttention, TransformerBlock
from service.contract.architecture.base import IMAGE, Finite, LayerBase, Shape, bounded
from service.contract.architecture.convolution import Conv1d, Conv2d
from service.contract.architecture.dense import Dense, Embedding
from service.contract.architecture.laws import Init, InitSpec
from service.contract.architecture.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm
from service.contract.architecture.pooling import GlobalPool, Pool1d, Pool2d
from service.contract.architecture.recurrent import Gru, Lstm, Rnn
from service.contract.architecture.reshaping import Dropout, Flatten, Permute, Reshape
from service.contract.problem import Invalid


class Residual(LayerBase):
    """Adds what the inner chain makes of the input to the input itself.

    Where the two differ in shape, the input goes through a projection: a 1x1 convolution, with the stride that the
    inner chain has, or a dense layer, without bias.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "residual", "layers": [{"kind": "dense", "units": 8}], "scale": 0.5}]}
    )

    kind: Literal["residual"]
    layers: tuple["Layer", ...] = Field(min_length=1, max_length=200)
    projection: Literal["auto", "never"] = "auto"
    scale: Finite = 1.0
    """Multiplies the inner chain."""
    init: InitSpec = Init()
    """The laws of the projection."""

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the inner chain's shape, to which the input must be projectable."""
        after = chained(self.layers, shape, at)
        if after != shape and (self.projection == "never" or self.strides(shape, after) is None):
            detail = f"The input {list(shape)} cannot be added to what the inner chain makes of it, {list(after)}."
            raise Invalid(detail, pointer=at)
        return after

    def strides(self, shape: Shape, after: Shape) -> tuple[int, ...] | None:
        """Return the projection's stride per inner axis (none for vectors); None where no projection fits."""
        if len(shape) != len(after):
            return None
        if len(shape) != IMAGE:
            return () if shape[:-1] == after[:-1] else None
        strides = tuple(-(-before // small) for before, small in zip(shape[1:], after[1:], strict=True))
        reached = tuple(-(-before // stride) for before, stride in zip(shape[1:], strides, strict=True))
        return strides if reached == after[1:] else None

    def weights(self, shape: Shape) -> int:
        """Return the inner chain's weights and the projection's."""
        inner = sum(layer.weights(before) for layer, before, _ in walked(self.layers, shape, ""))
        after = chained(self.layers, shape, "")
        channel = 0 if len(shape) == IMAGE else -1
        return inner + (0 if after == shape else shape[channel] * after[channel])


class Repeat(LayerBase):
    """The inner chain several times over, each time with weights of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "repeat", "times": 10, "layers": [{"kind": "dense", "units": 8}, {"kind": "tanh"}]}]
        }
    )

    kind: Literal["repeat"]
    times: Annotated[int, Field(ge=1, le=1000)]
    layers: tuple["Layer", ...] = Field(min_length=1, max_length=200)

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the shape after the last time."""
        for _ in range(self.times):
            shape = chained(self.layers, shape, at)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return the weights of all times."""
        total = 0
        for _ in range(self.times):
            total += sum(layer.weights(before) for layer, before, _ in walked(self.layers, shape, ""))
            shape = chained(self.layers, shape, "")
        return total


Layer: TypeAlias = Annotated[
    Dense
    | Embedding
    | Conv1d
    | Conv2d
    | Activation
    | LeakyRelu
    | Elu
    | Gelu
    | Prelu
    | Softmax
    | BatchNorm
    | LayerNorm
    | RmsNorm
    | GroupNorm
    | InstanceNorm
    | Pool1d
    | Pool2d
    | GlobalPool
    | Flatten
    | Reshape
    | Permute
    | Dropout
    | Lstm
    | Gru
    | Rnn
    | SelfAttention
    | TransformerBlock
    | PositionalEmbedding
    | Residual
    | Repeat,
    Field(discriminator="kind"),
]
"""Any layer, told apart by `kind`."""

Residual.model_rebuild()
Repeat.model_rebuild()


def walked(layers: tuple[Layer, ...], shape: Shape, at: str) -> Iterator[tuple[Layer, Shape, str]]:
    """Yield each layer with the shape that reaches it and its JSON pointer; Invalid where one does not fit."""
    for index, layer in enumerate(layers):
        pointer = f"{at}/layers/{index}"
        after = stepped(layer, shape, pointer)
        yield layer, shape, pointer
        shape = after


def chained(layers: tuple[Layer, ...], shape: Shape, at: str) -> Shape:
    """Return the shape after all `layers`."""
    for index, layer in enumerate(layers):
        shape = stepped(layer, shape, f"{at}/layers/{index}")
    return shape


def stepped(layer: Layer, shape: Shape, at: str) -> Shape:
    """Return the shape after `layer`; Invalid where it does not fit, or looks up tokens behind the first layer."""
    if isinstance(layer, Embedding) and at != "/layers/0":
        detail = "An embedding reads the int64 input; it can only be the first layer."
        raise Invalid(detail, pointer=at)
    return bounded(layer.output(shape, at), at)
