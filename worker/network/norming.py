"""Norms written as nodes, in operators that the opset of a file has.

The older ways to write them: a layer norm is a MeanVarianceNormalization, a root mean square norm an
LpNormalization, a group norm an InstanceNormalization of a value whose groups are its channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd, sqrt
from typing import Final

import torch
from torch import Tensor

from worker.network.graph import Attribute, Graph, Node

HAS_LAYER_NORM: Final = 17
"""Opset from which there is LayerNormalization."""
HAS_STANDARDIZATION: Final = 9
"""Opset from which there is MeanVarianceNormalization, which stands in for it before."""
HAS_GROUP_NORM: Final = 21
"""Opset from which GroupNormalization takes a gain per channel."""
HAS_RMS_NORM: Final = 23
"""Opset from which there is RMSNormalization."""
BROADCASTS: Final = 7
"""Opset from which sums and products broadcast, and batch norms are told training from evaluation."""
_GROUPS: Final = 32
_LEAST: Final = 16
"""Numbers in a group, where the channels and positions give as many."""


def groups(channels: int, positions: int | None = None) -> int:
    """Return how many groups channels are cut into: 32 at most, of two channels and 16 numbers at least.

    Where nobody knows how many positions a channel has, there are taken to be many.
    """
    count = gcd(_GROUPS, channels)
    least = max(2, -(-_LEAST // positions) if positions else 2)
    while count > 1 and channels // count < least:
        count //= 2
    return count


def with_rms_norm(graph: Graph) -> Graph:
    """Return the graph at an opset that has RMSNormalization, where its opset is no file's but our own choice."""
    if graph.header is not None or graph.opsets.get("", 0) != HAS_RMS_NORM - 1:
        return graph
    return graph.replace(opsets={**graph.opsets, "": HAS_RMS_NORM})


@dataclass
class Norming:
    """Nodes that make a norm of `value`, writing `fresh`, as they are put down one behind the other."""

    graph: Graph
    value: str
    fresh: str
    like: Tensor
    """What has the numbers' type and lies where constants shall lie."""
    stem: str
    origin: str | None = None
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators."""
        return self.graph.opsets.get("", 0)

    def layer(self, gain: str, bias: str, axes: Sequence[int], epsilon: float = 1e-5) -> None:
        """Normalize over the last axes, of which the first is the first of `axes`; opset 9 or newer."""
        if self.opset >= HAS_LAYER_NORM:
            self._last("LayerNormalization", self.value, gain, bias, axis=axes[0], epsilon=epsilon)
            return
        unit = self._node("unit", "MeanVarianceNormalization", self.value, axes=tuple(axes))
        self._last("Add", self._node("scaled", "Mul", unit, gain), bias)

    def features(self, gain: str, bias: str, rank: int, epsilon: float = 1e-5) -> None:
        """Normalize over the second of `rank` axes alone; opset 9 or newer."""
        if rank == 2:  # noqa: PLR2004  it is the last
            self.layer(gain, bias, (-1,), epsilon)
            return
        fresh = self.fresh
        self.value = self._node("last", "Transpose", self.value, perm=(0, *range(2, rank), 1))
        self.fresh, self.stem = f"{fresh}.normed", f"{self.stem}.normed"
        self.layer(gain, bias, (-1,), epsilon)
        self.value, self.fresh, self.stem = self.fresh, fresh, self.stem.removesuffix(".normed")
        self._last("Transpose", self.value, perm=(0, rank - 1, *range(1, rank - 1)))

    def root_mean_square(self, gain: str, width: int, axis: int = -1, epsilon: float = 1e-6) -> None:
        """Divide by the root mean square along an axis of `width` numbers; opset 7 or newer."""
        if axis == -1 and self.opset >= HAS_RMS_NORM:
            self._last("RMSNormalization", self.value, gain, axis=axis, epsilon=epsilon)
            return
        unit = self._node("unit", "LpNormalization", self.value, axis=axis, p=2)
        root = self._constant("root", self.like.new_tensor(sqrt(width)))
        self._last("Mul", self._node("rooted", "Mul", unit, root), gain)

    def group(self, gain: str, bias: str, number: int, rank: int, epsilon: float = 1e-5) -> None:
        """Normalize over groups of the channels, the second of `rank` axes; a gain and a bias per channel; opset 7."""
        if self.opset >= HAS_GROUP_NORM:
            self._last("GroupNormalization", self.value, gain, bias, num_groups=number, epsilon=epsilon)
            return
        ones, zeros = self.like.new_ones(number), self.like.new_zeros(number)
        cut = self._node("cut", "Reshape", self.value, self._constant("groups", torch.tensor([0, number, -1])))
        inputs = (cut, self._constant("ones", ones), self._constant("zeros", zeros))
        unit = self._node("unit", "InstanceNormalization", *inputs, epsilon=epsilon)
        joined = self._node("joined", "Reshape", unit, self._node("shape", "Shape", self.value))
        self._by_channel(joined, gain, bias, rank)

    def batch(self, gain: str, bias: str, channels: int, epsilon: float = 1e-5) -> None:
        """Normalize each channel over the batch; the running statistics start at 0 and 1."""
        mean = self._constant("mean", self.like.new_zeros(channels))
        variance = self._constant("variance", self.like.new_ones(channels))
        self._last("BatchNormalization", self.value, gain, bias, mean, variance, epsilon=epsilon)

    def affine(self, gain: str, bias: str, rank: int) -> None:
        """Multiply and add a number per channel, the second of `rank` axes."""
        self._by_channel(self.value, gain, bias, rank)

    def _by_channel(self, value: str, gain: str, bias: str, rank: int) -> None:
        wide = self._constant("wide", torch.tensor([-1] + [1] * (rank - 2)))
        scaled = self._node("scaled", "Mul", value, self._node("gain", "Reshape", gain, wide))
        self._last("Add", scaled, self._node("bias", "Reshape", bias, wide))

    def _node(self, role: str, op: str, *inputs: str, **attributes: Attribute) -> str:
        name = f"{self.fresh}.{role}"
        self.nodes.append(Node(op, inputs, (name,), f"{self.stem}.{role}", attributes, origin=self.origin))
        return name

    def _last(self, op: str, *inputs: str, **attributes: Attribute) -> None:
        self.nodes.append(Node(op, inputs, (self.fresh,), self.stem, attributes, origin=self.origin))

    def _constant(self, role: str, value: Tensor) -> str:
        name = f"{self.stem}.{role}"
        self.constants[name] = value
        return name
