"""Attention between the steps of sequences, (time, features)."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict

from service.contract.architecture.base import Joint, Shape, Signal
from service.contract.architecture.heads import Heads, Reach, Turning
from service.contract.architecture.positions import Positions
from service.contract.architecture.transformer import Transformers


class SelfAttention(Turning):
    """Multi-head attention of a sequence to itself, with kernels for query, key, value and output."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "self_attention", "heads": 2},
                {"kind": "self_attention", "heads": 4, "groups": 2, "causal": True, "rotary": True, "bias": False},
            ]
        }
    )

    kind: Literal["self_attention"]

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must be a sequence."""
        self.attentive(Reach(shape, shape, shape), at)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return four kernels and their biases, and the scales and shifts of norms."""
        return self.counted(Reach(shape, shape, shape))


class CrossAttention(Heads, Joint):
    """Multi-head attention of a sequence to another: a node reads the queries, then what keys and values are made of.

    A third input, of as many steps as the second, is what values are made of.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "cross_attention", "heads": 2, "inputs": ["decoded", "memory"]}],
            "x-reads": [[7, 8], [5, 6]],
        }
    )

    fewest: ClassVar[int] = 2
    most: ClassVar[int] = 3

    kind: Literal["cross_attention"]

    def joined(self, shapes: tuple[Shape, ...], at: str) -> Shape:
        """Return the queries' shape."""
        self.attentive(Reach(shapes[0], shapes[1], shapes[-1]), at)
        return shapes[0]

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return four kernels and their biases, and the scales and shifts of norms."""
        return self.counted(Reach(given[0].shape, given[1].shape, given[-1].shape))


Attentions: TypeAlias = SelfAttention | CrossAttention | Transformers | Positions
