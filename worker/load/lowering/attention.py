"""Attention, the transformer's block, and tables of positions."""

from math import log, sqrt

import torch

from service.contract.architecture import Layer, Shape
from service.contract.architecture.activation import Activation, Gelu
from service.contract.architecture.attention import PositionalEmbedding, SelfAttention, TransformerBlock
from service.contract.architecture.dense import Dense
from service.contract.architecture.normalization import LayerNorm
from service.contract.architecture.reshaping import Dropout
from worker.load.builder import Builder
from worker.load.drawing import law_of
from worker.load.lowering import lower_layer, lowering
from worker.network.laws import Constant, Fans, Normal, scaled, torch_default

MASKED = -1e9
"""What a causal mask puts in place of a logit: finite, so that no measure meets an infinity that is no fault."""


@lowering("self_attention")
def self_attention(layer: SelfAttention, build: Builder, value: str, shape: Shape) -> str:
    """MatMul, Softmax and MatMul per head, between four kernels of the shape (features, features)."""
    time, features = shape
    split = build.constant("split", torch.tensor([0, 0, layer.heads, features // layer.heads]))

    def heads(part: str, *perm: int) -> str:
        cut = build.node("Reshape", _square(layer, build, value, features, part), split, role=f"{part}.split")
        return build.node("Transpose", cut, role=f"{part}.heads", perm=perm)

    logits = build.node("MatMul", heads("query", 0, 2, 1, 3), heads("key", 0, 2, 3, 1), role="product")
    weights = _weights(layer, build, logits, time, features // layer.heads)
    mixed = build.node("MatMul", weights, heads("value", 0, 2, 1, 3), role="mixed")
    turned = build.node("Transpose", mixed, role="turned", perm=(0, 2, 1, 3))
    joined = build.node("Reshape", turned, build.constant("join", torch.tensor([0, 0, -1])), role="joined")
    return _square(layer, build, joined, features, "output")


def _weights(layer: SelfAttention, build: Builder, product: str, time: int, width: int) -> str:
    """Put down the softmax of the products over √width, later steps masked where the layer is causal."""
    logits = build.node("Mul", product, build.constant("factor", torch.tensor(1 / sqrt(width))), role="logits")
    if layer.causal:
        seen = build.constant("seen", torch.ones(time, time, dtype=torch.bool).tril())
        logits = build.node("Where", seen, logits, build.constant("masked", torch.tensor(MASKED)), role="mask")
    return build.node("Softmax", logits, role="softmax", axis=-1)


def _square(layer: SelfAttention, build: Builder, value: str, features: int, part: str) -> str:
    """Put down one of the four products.

    PyTorch draws query, key and value together by Xavier's uniform law, the output as a linear layer, biases zero.
    """
    size, fan = (features, features), Fans(features, features)
    default = torch_default(size, fan) if part == "output" else scaled(size, 2 / (4 * features), "uniform")
    kernel = build.parameter(f"{part}.kernel", law_of(layer.init.kernel, size, fan, default))
    product = build.node("MatMul", value, kernel, role=part)
    if not layer.bias:
        return product
    bias = (features,)
    shift = build.parameter(f"{part}.bias", law_of(layer.init.bias_law, bias, fan, Constant(bias, 0.0)))
    return build.node("Add", product, shift, role=f"{part}.add")


@lowering("transformer_block")
def transformer_block(layer: TransformerBlock, build: Builder, value: str, shape: Shape) -> str:
    """Two residual branches, `attention` and `feed_forward`, with their norms."""
    init, features = layer.init, shape[-1]
    attention = SelfAttention(kind="self_attention", name="self", heads=layer.heads, causal=layer.causal, init=init)
    hidden = Dense(kind="dense", name="wide", units=layer.hidden or 4 * features, init=init)
    narrow = Dense(kind="dense", name="narrow", units=features, init=init)
    value = _branch(layer, build.inner("attention"), value, shape, (attention,))
    return _branch(layer, build.inner("feed_forward"), value, shape, (hidden, _activation(layer), narrow))


def _branch(layer: TransformerBlock, build: Builder, value: str, shape: Shape, inside: tuple[Layer, ...]) -> str:
    norm = LayerNorm(kind="layer_norm", name="norm")
    drop = (Dropout(kind="dropout", name="dropout", rate=layer.dropout),) if layer.dropout else ()
    before = (norm,) if layer.norm == "pre" else ()
    branch, size = value, shape
    for part in (*before, *inside, *drop):
        branch = lower_layer(part, build.inner(part.name or part.kind), branch, size)
        size = part.output(size, build.place)
    total = build.node("Add", value, branch)
    return lower_layer(norm, build.inner("norm"), total, shape) if layer.norm == "post" else total


def _activation(layer: TransformerBlock) -> Activation | Gelu:
    if layer.activation == "gelu":
        return Gelu(kind="gelu", name="activation")
    return Activation(kind=layer.activation, name="activation")


@lowering("positional_embedding")
def positional_embedding(layer: PositionalEmbedding, build: Builder, value: str, shape: Shape) -> str:
    """Add a table, learned from a normal law of standard deviation 0.02 or made of sines."""
    if layer.table == "learned":
        return build.node("Add", value, build.parameter("table", Normal(shape, 0.02)))
    return build.node("Add", value, build.constant("table", sines(shape)))


def sines(shape: Shape) -> torch.Tensor:
    """Return sin and cos of position / 10000^(2i/features), in turns along the features (Vaswani et al. 2017)."""
    time, features = shape
    column = torch.arange(features)
    rate = torch.exp((column - column % 2) / features * -log(10_000.0))
    angle = torch.arange(time).unsqueeze(1) * rate
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())
