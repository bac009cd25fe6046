"""Attention: four kernels around the products of every query with every key."""

from collections.abc import Sequence
from math import sqrt

import torch

from service.contract.architecture import Shape, Signal
from service.contract.architecture.attention import CrossAttention, SelfAttention
from service.contract.architecture.heads import Heads, Reach, Turning
from worker.load.builder import Builder
from worker.load.drawing import law_of
from worker.load.lowering import joining, lowering
from worker.network.graph import Law
from worker.network.laws import Constant, Fans, scaled, torch_default

MASKED = -1e9
"""What a causal mask puts in place of a logit: finite, so that no measure meets an infinity that is no fault."""


@lowering("self_attention")
def self_attention(layer: SelfAttention, build: Builder, value: str, shape: Shape) -> str:
    """Attend from a sequence to itself."""
    return _attended(layer, build, (value, value, value), Reach(shape, shape, shape))


@joining("cross_attention")
def cross_attention(layer: CrossAttention, build: Builder, values: Sequence[str], signals: Sequence[Signal]) -> str:
    """Attend from a sequence to another; a third, if there is one, gives the values."""
    shapes = [each.shape for each in signals]
    reach = Reach(shapes[0], shapes[1], shapes[-1])
    return _attended(layer, build, (values[0], values[1], values[-1]), reach)


def _attended(layer: Heads, build: Builder, values: tuple[str, str, str], reach: Reach) -> str:
    """Put down MatMul, Softmax and MatMul per head, between kernels of the shape (in, out)."""
    query, key, value = (
        _cut(layer, build, _product(layer, build, given, part, reach), part, reach)
        for given, part in zip(values, ("query", "key", "value"), strict=True)
    )
    logits = build.node("MatMul", query, key, role="product")
    weights = _weights(layer, build, logits, reach)
    mixed = build.node("MatMul", weights, value, role="mixed")
    grouped = layer.key_heads != layer.heads
    turned = build.node("Transpose", mixed, role="turned", perm=(0, 3, 1, 2, 4) if grouped else (0, 2, 1, 3))
    joined = build.node("Reshape", turned, build.constant("join", torch.tensor([0, 0, -1])), role="joined")
    return _product(layer, build, joined, "output", reach)


def _product(layer: Heads, build: Builder, value: str, part: str, reach: Reach) -> str:
    """Put down one of the four products."""
    size, laws = layer.kernels(reach)[part], layer.laws(part)
    fan = Fans(*size)
    kernel = build.parameter(f"{part}.kernel", law_of(laws.kernel, size, fan, _default(layer, part, reach)))
    product = build.node("MatMul", value, kernel, role=part)
    if not layer.biased(part):
        return product
    bias = size[1:]
    shift = build.parameter(f"{part}.bias", law_of(laws.bias_law, bias, fan, Constant(bias, 0.0)))
    return build.node("Add", product, shift, role=f"{part}.add")


def _default(layer: Heads, part: str, reach: Reach) -> Law:
    """Return PyTorch's law: the output's is a linear layer's, the others' Xavier's uniform, biases zero.

    Where query, key and value are square, PyTorch draws them as one kernel.
    """
    kernels = layer.kernels(reach)
    size = kernels[part]
    if part == "output":
        return torch_default(size, Fans(*size))
    sizes = {kernels[each] for each in ("query", "key", "value")}
    together = sum(size) if len(sizes) > 1 or size[0] != size[1] else 4 * size[0]
    return scaled(size, 2 / together, "uniform")


def _cut(layer: Heads, build: Builder, value: str, part: str, reach: Reach) -> str:
    """Put down a product cut into heads: (batch, heads, time, width), the key's last two axes the other way round.

    Where several heads of queries share one of keys, heads are (groups, heads per group), the latter 1 in keys and
    values.
    """
    grouped, (_, out) = layer.key_heads != layer.heads, layer.kernels(reach)[part]
    per_group = layer.heads // layer.key_heads if part == "query" else 1
    heads = (layer.key_heads, per_group) if grouped else (layer.heads,)
    width = out // (layer.heads if part == "query" else layer.key_heads)
    split = build.constant(f"{part}.cut", torch.tensor([0, 0, *heads, width]))
    value = build.node("Reshape", value, split, role=f"{part}.split")
    if part != "value":
        value = _normed(layer, build, value, part, width)
        value = _turned(layer, build, value, part, (reach.query[0], *(1 for _ in heads), width))
    last = (len(heads) + 2, 1) if part == "key" else (1, len(heads) + 2)
    perm = (0, *range(2, len(heads) + 2), *last)
    return build.node("Transpose", value, role=f"{part}.heads", perm=perm)


def _normed(layer: Heads, build: Builder, value: str, part: str, width: int) -> str:
    """Put down the norm of each head's queries or keys."""
    if layer.query_key_norm == "none":
        return value
    scale = build.parameter(f"{part}.norm.scale", Constant((width,), 1.0))
    if layer.query_key_norm == "rms_norm":
        return build.node("RMSNormalization", value, scale, role=f"{part}.norm", axis=-1, epsilon=1e-6)
    shift = build.parameter(f"{part}.norm.shift", Constant((width,), 0.0))
    return build.node("LayerNormalization", value, scale, shift, role=f"{part}.norm", axis=-1, epsilon=1e-5)


def _turned(layer: Heads, build: Builder, value: str, part: str, size: Shape) -> str:
    """Turn the pairs (i, i + width / 2) of features by position · base^(-2i / width)."""
    if not (isinstance(layer, Turning) and layer.rotary):
        return value
    half = size[-1] // 2
    angle = torch.outer(torch.arange(size[0]), layer.rotary_base ** (-torch.arange(half) / half))
    cosine = build.constant(f"{part}.cosine", torch.cat([angle.cos(), angle.cos()], 1).reshape(size))
    sine = build.constant(f"{part}.sine", torch.cat([-angle.sin(), angle.sin()], 1).reshape(size))
    swap = build.constant(f"{part}.swap", torch.arange(2 * half).roll(half))
    swapped = build.node("Gather", value, swap, role=f"{part}.swapped", axis=-1)
    straight = build.node("Mul", value, cosine, role=f"{part}.straight")
    across = build.node("Mul", swapped, sine, role=f"{part}.across")
    return build.node("Add", straight, across, role=f"{part}.rotary")


def _weights(layer: Heads, build: Builder, product: str, reach: Reach) -> str:
    """Put down the softmax of the products over √width, later steps masked where the layer is causal."""
    width, _ = layer.widths(reach.query[-1])
    logits = build.node("Mul", product, build.constant("factor", torch.tensor(1 / sqrt(width))), role="logits")
    if isinstance(layer, Turning) and layer.causal:
        seen = build.constant("seen", torch.ones(reach.query[0], reach.key[0], dtype=torch.bool).tril())
        logits = build.node("Where", seen, logits, build.constant("masked", torch.tensor(MASKED)), role="mask")
    weights = build.node("Softmax", logits, role="softmax", axis=-1)
    if not layer.attention_dropout:
        return weights
    rate = build.constant("rate", torch.tensor(layer.attention_dropout))
    return build.node("Dropout", weights, rate, role="dropout")
