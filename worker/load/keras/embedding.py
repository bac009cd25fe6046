"""Tables that are looked up, and masks."""

from typing import Final

import torch

from service.keras.base import Call
from service.keras.layers.embedding import Embedding, Identity, Masking, ReversibleEmbedding
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.weights import weight

FLOAT: Final = 1
INT64: Final = 7
BOOL: Final = 9
"""ONNX's numbers of types."""


@lowers("Embedding")
def embedding(layer: Embedding, build: Builder, call: Call[Signal]) -> Signal:
    """Gather; with mask_zero, the mask is where a token is not 0."""
    table = weight(layer, build, "embeddings", (layer.input_dim, layer.output_dim))
    tokens = call.one.value
    if call.one.dtype != "int64":
        tokens = build.node("Cast", tokens, role="tokens", to=INT64)
    rows = build.node("Gather", table, tokens, axis=0)
    mask = None
    if layer.mask_zero:
        numbers = build.node("Cast", tokens, role="numbers", to=FLOAT)
        mask = build.node("Cast", numbers, role="mask", to=BOOL)
    return Signal((*call.one.shape, layer.output_dim), value=rows, mask=mask)


@lowers("ReversibleEmbedding")
def reversible_embedding(layer: ReversibleEmbedding, build: Builder, call: Call[Signal]) -> Signal:
    """Gather, or MatMul by the other table, perhaps with tanh around the logits."""
    rows, classes = layer.output_dim, layer.input_dim
    other = None
    if not layer.tie_weights:
        other = weight(layer, build, "embeddings", (rows, classes), as_role="reverse_embeddings")
    if call.get("reverse") is not True:
        return embedding(layer, build, call)
    table = weight(layer, build, "embeddings", (classes, rows))
    kernel = other or build.node("Transpose", table, role="turned", perm=(1, 0))
    value = build.node("MatMul", call.one.value, kernel, role="logits" if layer.logit_soft_cap else "")
    if layer.logit_soft_cap:
        cap = build.constant("cap", torch.tensor(layer.logit_soft_cap))
        bent = build.node("Tanh", build.node("Div", value, cap, role="share"), role="bent")
        value = build.node("Mul", bent, cap)
    return Signal((*call.one.shape[:-1], classes), value=value)


@lowers("Masking")
def masking(layer: Masking, build: Builder, call: Call[Signal]) -> Signal:
    """A choice between the step and zeros."""
    given = call.one
    equal = build.node("Equal", given.value, build.constant("masked", torch.tensor(layer.mask_value)), role="equal")
    other = build.node("Cast", build.node("Not", equal, role="other"), role="numbers", to=FLOAT)
    last = build.constant("last", torch.tensor([-1]))
    counted = build.node("ReduceMax", other, last, role="counted", keepdims=1)
    shown = build.node("Cast", counted, role="shown", to=BOOL)
    mask = build.node("Squeeze", shown, last, role="mask")
    value = build.node("Where", shown, given.value, build.constant("zero", torch.tensor(0.0)))
    return Signal(given.shape, value=value, mask=mask)


@lowers("Identity")
def identity(layer: Identity, build: Builder, call: Call[Signal]) -> Signal:
    """Identity."""
    return Signal(
        call.one.shape, value=build.node("Identity", call.one.value), mask=call.one.mask, dtype=call.one.dtype
    )
