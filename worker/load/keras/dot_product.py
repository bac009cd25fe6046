"""keras.ops.dot_product_attention."""

from math import sqrt

import torch

from service.keras.base import Call
from service.keras.layers.dot_product import DotProductAttention
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.sight import LARGE, Seen, added, boolean, earlier, masked


@lowers("ops.DotProductAttention")
def dot_product_attention(layer: DotProductAttention, build: Builder, call: Call[Signal]) -> str:
    """Put down MatMul, Softmax and MatMul per head; heads of keys are repeated where there are fewer."""
    query, key, value = (call.of(part)[0] for part in ("query", "key", "value"))
    product = build.node(
        "MatMul", _heads(build, query, "query", query), _heads(build, key, "key", query), role="product"
    )
    scale = call.get("scale") or 1 / sqrt(query.shape[2] or 1)
    logits = build.node("Mul", product, build.constant("factor", torch.tensor(float(scale))), role="logits")
    weights = _weights(layer, build, call, logits)
    mixed = build.node("MatMul", weights, _heads(build, value, "value", query), role="mixed")
    return build.node("Transpose", mixed, perm=(0, 2, 1, 3))


def _weights(layer: DotProductAttention, build: Builder, call: Call[Signal], logits: str) -> str:
    causal = earlier(build, call.of("query")[0], call.of("key")[0]) if layer.is_causal else None
    for bias in call.of("bias"):
        logits = build.node("Add", logits, bias.value, role="biased")
    for given in call.of("mask"):
        mask = boolean(build, given, "mask.given")
        mask = build.node("And", mask, causal, role="seen1") if causal else mask
        return build.node("Softmax", added(build, logits, mask, LARGE), role="softmax", axis=-1)
    return masked(build, logits, Seen(causal, causal=True) if causal else None, explicit=False)


def _heads(build: Builder, given: Signal, part: str, query: Signal) -> str:
    """Turn (steps, heads, width) to (heads, steps, width), a key's last two round."""
    value, heads, few = given.value, query.shape[1] or 1, given.shape[1] or 1
    if few != heads:
        axis = build.constant("repeat.axis", torch.tensor([3]))
        wide = build.node("Unsqueeze", value, axis, role=f"{part}.wide")
        times = build.constant("repeat.times", torch.tensor([1, 1, 1, heads // few, 1]))
        shared = build.node("Expand", wide, times, role=f"{part}.shared")
        size = build.constant(f"{part}.size", torch.tensor([0, 0, heads, given.shape[2] or -1]))
        value = build.node("Reshape", shared, size, role=f"{part}.repeated")
    return build.node("Transpose", value, role=f"{part}.heads", perm=(0, 2, 3, 1) if part == "key" else (0, 2, 1, 3))
