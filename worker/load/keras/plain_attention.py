"""Attention and AdditiveAttention."""

import torch

from service.keras.base import Call
from service.keras.initializers import law
from service.keras.layers.plain_attention import Attention, Plain
from worker.load.builder import Builder
from worker.load.drawing import keras_law
from worker.load.keras import Signal, lowers
from worker.load.keras.sight import added, boolean, earlier, widened

LOW = -1e9
"""What Keras adds to a masked score."""


@lowers("Attention", "AdditiveAttention")
def attention(layer: Plain, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """Put down the scores, their softmax, and its product with the values; the queries' mask goes on."""
    shapes = layer.outputs(call, build.pointer)
    masks = _masks(build, call)
    scores = _masked(layer, build, call, _scores(layer, build, call), masks[1])
    weights = build.node("Softmax", scores, role="softmax", axis=-1)
    dropped = weights
    if layer.dropout:
        dropped = build.node("Dropout", weights, build.constant("rate", torch.tensor(layer.dropout)), role="dropout")
    answer = build.node("MatMul", dropped, call.of("inputs")[1].value)
    if masks[0]:
        shown = widened(build, masks[0], "query_mask", 2)
        answer = build.node("Where", shown, answer, build.constant("zero", torch.tensor(0.0)), role="shown")
    return (Signal(shapes[0], value=answer, mask=masks[0]), *(Signal(each, value=weights) for each in shapes[1:]))


def _masks(build: Builder, call: Call[Signal]) -> tuple[str | None, str | None]:
    """Return the masks of the queries and of the values: those that the call names, or the tensors' own."""
    named = call.get("mask")
    if isinstance(named, list):
        query, value = (
            boolean(build, each, f"mask{index}") if isinstance(each, Signal) else None
            for index, each in enumerate([*named, None, None][:2])
        )
        return query, value
    query, value = (each.mask for each in call.of("inputs")[:2])
    return query, value


def _masked(layer: Plain, build: Builder, call: Call[Signal], scores: str, mask: str | None) -> str:
    """Add a large negative number to the scores of values that are masked, or later than the query."""
    query, key = call.of("inputs")[0], call.of("inputs")[-1]
    seen = widened(build, mask, "value_mask", 1) if mask else None
    if layer.causal or call.get("use_causal_mask"):
        causal = earlier(build, query, key)
        seen = build.node("And", seen, causal, role="seen1") if seen else causal
    return added(build, scores, seen, LOW) if seen else scores


def _scores(layer: Plain, build: Builder, call: Call[Signal]) -> str:
    query, key = call.of("inputs")[0], call.of("inputs")[-1]
    if layer.additive:
        return _sums(layer, build, query, key)
    turned = build.node("Transpose", key.value, role="key.turned", perm=(0, 2, 1))
    product = build.node("MatMul", query.value, turned, role="product")
    return build.node("Mul", product, _factor(build, "scale"), role="logits") if layer.use_scale else product


def _sums(layer: Plain, build: Builder, query: Signal, key: Signal) -> str:
    """Put down, for each query and key, the weighted sum of tanh(query + key)."""
    rows, columns = widened(build, query.value, "query", 2), widened(build, key.value, "key", 1)
    both = build.node("Add", rows, columns, role="both")
    if isinstance(layer, Attention):
        scaled = build.node("Mul", both, _factor(build, "scale"), role="scaled") if layer.use_scale else both
        total = _summed(build, build.node("Tanh", scaled, role="tanh"), "sum")
        return build.node("Mul", total, _factor(build, "concat_score_weight"), role="logits")
    bent = build.node("Tanh", both, role="tanh")
    if layer.use_scale:
        size = (query.shape[-1] or 0,)
        scale = build.parameter("scale", keras_law(law("glorot_uniform", build.pointer), size))
        bent = build.node("Mul", bent, scale, role="scaled")
    return _summed(build, bent, "logits")


def _summed(build: Builder, value: str, role: str) -> str:
    return build.node("ReduceSum", value, build.constant("last", torch.tensor([-1])), role=role, keepdims=0)


def _factor(build: Builder, role: str) -> str:
    """Draw a single number, which starts at 1."""
    return build.parameter(role, keras_law(law("ones", build.pointer), ()))
