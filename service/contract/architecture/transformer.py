"""The transformer's layers: attention and a feed-forward part, each on a residual branch."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict

from service.contract.architecture.base import Joint, Shape, Share, Signal, Size, bounded
from service.contract.architecture.heads import Reach, Turning, norm_weights
from service.contract.architecture.laws import InitSpec
from service.contract.architecture.normalization import Epsilon

GATED = {"glu": "sigmoid", "reglu": "relu", "geglu": "gelu", "swiglu": "silu"}
"""Feed-forward parts with a kernel more: the activation of one product times another (Shazeer 2020)."""


class Branches(Turning):
    """A sequence's way through residual branches: attention to itself, and a feed-forward part."""

    hidden: Size | None = None
    """Width of the feed-forward part; four times the features by default."""
    norm: Literal["pre", "post", "none"] = "pre"
    """Whether a norm stands before each branch, after each sum, or nowhere."""
    norm_kind: Literal["layer_norm", "rms_norm"] = "layer_norm"
    norm_epsilon: Epsilon = 1e-5
    activation: Literal[
        "relu", "gelu", "gelu_tanh", "silu", "mish", "selu", "tanh", "glu", "reglu", "geglu", "swiglu"
    ] = "gelu"
    """Of the feed-forward part; those that end in `glu` multiply one product by the activation of another."""
    dropout: Share = 0
    """The share of each branch's numbers that training drops."""
    activation_dropout: Share = 0
    """The same, behind the feed-forward part's activation."""
    branch_init: InitSpec | None = None
    """The laws of the last kernel on each branch; `zeros` makes the layer start as the identity."""

    def inner(self, features: int) -> int:
        """Return the width of the feed-forward part."""
        return self.hidden or 4 * features

    def fed(self, features: int) -> int:
        """Return how many trained numbers the feed-forward part holds, and the norm of its branch."""
        hidden = self.inner(features)
        wide = (2 if self.activation in GATED else 1) * (features + self.bias) * hidden
        return wide + (hidden + self.bias) * features + self.normed(features)

    def normed(self, features: int) -> int:
        """Return how many trained numbers the norm of one branch holds."""
        return 0 if self.norm == "none" else norm_weights(self.norm_kind, features)

    def feedable(self, shape: Shape, at: str) -> None:
        """Pass a sequence whose feed-forward part is not over the limit; TooComplex otherwise."""
        bounded((shape[0], self.inner(shape[1])), f"{at}/hidden" if self.hidden else at)


class TransformerBlock(Branches):
    """Attention of a sequence to itself and a feed-forward part, each on a residual branch."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "transformer_encoder", "heads": 2, "norm": "post", "activation": "relu"},
                {"kind": "transformer_block", "heads": 2, "hidden": 64, "causal": True},
            ]
        }
    )

    kind: Literal["transformer_block", "transformer_encoder"]

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must be a sequence."""
        self.attentive(Reach(shape, shape, shape), at)
        self.feedable(shape, at)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return the kernels and biases of attention and of the feed-forward part, and the norms' scales and shifts."""
        features = shape[-1]
        return self.counted(Reach(shape, shape, shape)) + self.normed(features) + self.fed(features)


class TransformerDecoder(Branches, Joint):
    """A transformer's decoder layer: a node reads the sequence to be decoded, then the encoder's memory.

    Three residual branches: causal attention to itself, attention to the memory, and a feed-forward part.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "transformer_decoder", "heads": 2, "hidden": 16, "inputs": ["target", "memory"]}],
            "x-reads": [[7, 8], [5, 6]],
        }
    )

    fewest: ClassVar[int] = 2
    most: ClassVar[int] = 2

    kind: Literal["transformer_decoder"]
    causal: bool = True

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the shape of the sequence that is decoded."""
        target, memory = shapes
        self.attentive(Reach(target, target, target), at)
        self.attentive(Reach(target, memory, memory), at)
        self.feedable(target, at)
        return target

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return the kernels and biases of both attentions and of the feed-forward part, and those of the norms."""
        (target, _), (memory, _) = given
        features = target[-1]
        attention = self.counted(Reach(target, target, target)) + self.counted(Reach(target, memory, memory))
        return attention + 2 * self.normed(features) + self.fed(features)


Transformers: TypeAlias = TransformerBlock | TransformerDecoder
