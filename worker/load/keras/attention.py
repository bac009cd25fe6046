"""MultiHeadAttention and GroupQueryAttention."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt

import torch

from service.keras.attending import SEQUENCE, Attending, Reach
from service.keras.base import Call
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.sight import masked, seen
from worker.load.keras.weights import weight


@lowers("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention")
def attention(layer: Attending, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """Put down MatMul, Softmax and MatMul per head, between kernels; the queries' mask goes on."""
    reach, shapes = layer.reach(call, build.pointer), layer.outputs(call, build.pointer)
    heads = _Heads(layer, build, reach, layer.axes(reach.query, build.pointer))
    query, value = call.of("query")[0], call.of("value")[0]
    key = call.of("key")[0] if call.of("key") else value
    product = build.node("MatMul", heads.cut(query, "query"), heads.cut(key, "key"), role="product")
    factor = build.constant("factor", torch.tensor(1 / sqrt(layer.widths[0])))
    logits = build.node("Mul", product, factor, role="logits")
    # without dropout and returned weights, Keras runs its backend's own kernel, which treats masked rows otherwise
    explicit = layer.dropout > 0 or len(shapes) > 1 or len(reach.query) != SEQUENCE
    weights = masked(build, logits, seen(layer, build, call), explicit=explicit)
    mixed = build.node("MatMul", _dropped(layer, build, weights), heads.cut(value, "value"), role="mixed")
    answer = Signal(shapes[0], value=heads.answer(mixed, query), mask=query.mask)
    return (answer, *(Signal(each, value=weights) for each in shapes[1:]))


@dataclass(frozen=True)
class _Heads:
    """Cuts products into heads, and joins what the heads answer."""

    layer: Attending
    build: Builder
    reach: Reach
    axes: tuple[int, ...]
    """The axes that are attended along, the batch's being 0."""

    @property
    def rank(self) -> int:
        """How many axes the layer reads, without that of features."""
        return len(self.reach.query)

    @property
    def others(self) -> list[int]:
        """The axes that are not attended along, the batch's first."""
        return [axis for axis in range(self.rank) if axis not in self.axes]

    def cut(self, given: Signal, part: str) -> str:
        """Put down a product cut into heads: (batch, other axes…, heads, steps, width); a key's last two turned."""
        heads, few = self.layer.heads
        width = self.layer.widths[part == "value"]
        value = self.product(given.value, part)
        if part == "query" or few == heads:
            value = self.reshaped(value, [*[0] * self.rank, heads, width], f"{part}.split")
        else:
            value = self.repeated(value, part, width)
        last = [self.rank + 1, *self.axes] if part == "key" else [*self.axes, self.rank + 1]
        value = self.build.node("Transpose", value, role=f"{part}.heads", perm=(*self.others, self.rank, *last))
        if len(self.axes) == 1:
            return value
        return self.reshaped(
            value, [*[0] * (len(self.others) + 1), *([0, -1] if part == "key" else [-1, width])], f"{part}.steps"
        )

    def repeated(self, value: str, part: str, width: int) -> str:
        """Put down the heads of keys or values, each as often as there are heads of queries that it serves."""
        heads, few = self.layer.heads
        value = self.reshaped(value, [*[0] * self.rank, few, 1, width], f"{part}.split")
        times = self.build.constant(f"{part}.times", torch.tensor([*[1] * (self.rank + 1), heads // few, 1]))
        value = self.build.node("Expand", value, times, role=f"{part}.shared")
        return self.reshaped(value, [*[0] * self.rank, heads, width], f"{part}.repeated")

    def answer(self, mixed: str, query: Signal) -> str:
        """Put the heads' answers back where their steps were, one behind the other, and put down the last product."""
        if len(self.axes) > 1:
            sizes = [self.reach.query[axis - 1] or -1 for axis in self.axes]
            mixed = self.reshaped(mixed, [*[0] * (len(self.others) + 1), *sizes, self.layer.widths[1]], "apart")
        order = [*self.others, self.rank, *self.axes, self.rank + 1]
        perm = tuple(order.index(axis) for axis in range(self.rank + 2))
        turned = self.build.node("Transpose", mixed, role="turned", perm=perm)
        joined = self.reshaped(turned, [*[0] * self.rank, -1], "joined")
        if self.layer.use_gate:
            gate = self.build.node("Sigmoid", self.product(query.value, "gate"), role="gate.open")
            joined = self.build.node("Mul", joined, gate, role="gated")
        behind, product = self.layer.made(self.reach.query[-1] or 0), self.product(joined, "attention_output")
        return self.reshaped(product, [*[0] * self.rank, *behind], "answer") if len(behind) > 1 else product

    def product(self, value: str, part: str) -> str:
        """Put down the product with a kernel, laid out as (in, out), and the bias."""
        size, into = self.layer.kernels(self.reach)[part]
        matrix, along = (prod(size[:into]), prod(size[into:])), (range(into), range(into, len(size)))
        kernel = weight(self.layer, self.build, "kernel", size, into=matrix, as_role=f"{part}.kernel", along=along)
        product = self.build.node("MatMul", value, kernel, role=part)
        if not self.layer.use_bias:
            return product
        shift = weight(self.layer, self.build, "bias", size[into:], into=matrix[1:], as_role=f"{part}.bias")
        return self.build.node("Add", product, shift, role=f"{part}.add")

    def reshaped(self, value: str, size: Sequence[int], role: str) -> str:
        """Put down a Reshape."""
        return self.build.node(
            "Reshape", value, self.build.constant(f"{role}.size", torch.tensor(list(size))), role=role
        )


def _dropped(layer: Attending, build: Builder, weights: str) -> str:
    if not layer.dropout:
        return weights
    return build.node("Dropout", weights, build.constant("rate", torch.tensor(layer.dropout)), role="dropout")
