"""Attention between the steps of (time, features), and the transformer's block around it."""

from typing import Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import (
    MOST_NUMBERS,
    SEQUENCE,
    LayerBase,
    Shape,
    Share,
    Size,
    fits,
)
from service.contract.architecture.laws import Init, InitSpec
from service.contract.problem import Invalid, TooComplex


class SelfAttention(LayerBase):
    """Multi-head attention of a sequence to itself, with kernels for query, key, value and output."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "self_attention", "heads": 2}]})

    kind: Literal["self_attention"]
    heads: Size
    causal: bool = False
    """Whether a step sees only itself and those before it."""
    bias: bool = True
    init: InitSpec = Init()

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape; the features must divide into the heads."""
        attentive(shape, self.heads, at)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return four square kernels and their biases."""
        return 4 * shape[-1] * (shape[-1] + self.bias)


class TransformerBlock(LayerBase):
    """Attention and a two-layer feed-forward part, each on a residual branch."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "transformer_block", "heads": 2, "hidden": 64, "causal": True}]}
    )

    kind: Literal["transformer_block"]
    heads: Size
    hidden: Size | None = None
    """Width of the feed-forward part; four times the features by default."""
    norm: Literal["pre", "post", "none"] = "pre"
    """Whether a layer_norm stands before each branch, after each sum, or nowhere."""
    activation: Literal["gelu", "relu", "silu"] = "gelu"
    dropout: Share = Field(default=0)
    causal: bool = False
    init: InitSpec = Init()

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape; the features must divide into the heads."""
        attentive(shape, self.heads, at)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return the kernels and biases of attention and of the feed-forward part, and the norms' scales and shifts."""
        features = shape[-1]
        hidden = self.hidden or 4 * features
        feed_forward = 2 * features * hidden + hidden + features
        return 4 * features * (features + 1) + feed_forward + (0 if self.norm == "none" else 4 * features)


class PositionalEmbedding(LayerBase):
    """Adds a row of a table to each step of (time, features)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "positional_embedding"}]})

    kind: Literal["positional_embedding"]
    table: Literal["learned", "sinusoidal"] = "learned"

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must be a sequence."""
        fits(shape, at, SEQUENCE)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return time · features where the table is learned."""
        return shape[0] * shape[1] if self.table == "learned" else 0


def attentive(shape: Shape, heads: int, at: str) -> None:
    """Pass a sequence that `heads` can attend to; Invalid or TooComplex otherwise."""
    fits(shape, at, SEQUENCE)
    time, features = shape
    if features % heads:
        detail = f"The {features} features do not divide into {heads} heads."
        raise Invalid(detail, pointer=f"{at}/heads")
    if heads * time * time > MOST_NUMBERS:
        detail = f"{heads} heads over {time} steps take {heads * time * time} numbers; the limit is {MOST_NUMBERS}."
        raise TooComplex(detail, pointer=f"{at}/heads")


Attentions: TypeAlias = SelfAttention | TransformerBlock | PositionalEmbedding
