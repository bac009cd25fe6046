"""Keras's attention with kernels: MultiHeadAttention, and GroupQueryAttention, whose heads share keys and values."""

from typing import Any, ClassVar

from service.contract.problem import Invalid
from service.keras.attending import SEQUENCE, Attending, Count, Reach
from service.keras.base import Call, Shape, shown
from service.keras.layers import keras


@keras("MultiHeadAttention")
class MultiHeadAttention(Attending):
    """Attention of several heads, along one axis or several."""

    unmasks: ClassVar[tuple[str, ...]] = ("query", "value", "key")

    num_heads: Count
    key_dim: Count
    value_dim: Count | None = None
    output_shape: tuple[Count, ...] | Count | None = None
    attention_axes: tuple[int, ...] | int | None = None

    @property
    def heads(self) -> tuple[int, int]:
        """How many heads there are, of queries as of keys."""
        return self.num_heads, self.num_heads

    @property
    def widths(self) -> tuple[int, int]:
        """Features of a key and of a value in one head."""
        return self.key_dim, self.value_dim or self.key_dim

    def made(self, features: int) -> tuple[int, ...]:
        """Return the output's sizes behind time: those that the config names, or the queries' features."""
        if not self.output_shape:
            return (features,)
        return (self.output_shape,) if isinstance(self.output_shape, int) else self.output_shape

    def axes(self, shape: Shape, at: str) -> tuple[int, ...]:
        """Return the axes that are attended along: those that the config names, or all but batch and features."""
        rank = len(shape) + 1
        if self.attention_axes is None:
            return tuple(range(1, rank - 1))
        given = (self.attention_axes,) if isinstance(self.attention_axes, int) else self.attention_axes
        axes = tuple(axis % rank if -rank <= axis < rank else 0 for axis in given)
        if not axes or list(axes) != sorted(set(axes)) or not 0 < min(axes) <= max(axes) < rank - 1:
            detail = f"The axes {list(given)} are not axes, in order, between batch and features of {shown(shape)}."
            raise Invalid(detail, pointer=f"{at}/config/attention_axes")
        return axes


@keras("GroupQueryAttention", "GroupedQueryAttention")
class GroupQueryAttention(Attending):
    """Attention whose heads of keys and values each serve several heads of queries."""

    head_dim: Count
    num_query_heads: Count
    num_key_value_heads: Count

    @property
    def heads(self) -> tuple[int, int]:
        """How many heads of queries there are, and of keys and values."""
        return self.num_query_heads, self.num_key_value_heads

    @property
    def widths(self) -> tuple[int, int]:
        """Features of a key and of a value in one head."""
        return self.head_dim, self.head_dim

    def reach(self, call: Call[Any], at: str) -> Reach:
        """Return the shapes of what the layer is called with, all of them (time, features)."""
        if self.num_query_heads % self.num_key_value_heads:
            detail = f"The {self.num_query_heads} heads do not divide into {self.num_key_value_heads} groups."
            raise Invalid(detail, pointer=f"{at}/config/num_key_value_heads")
        reach = super().reach(call, at)
        if len(reach.query) != SEQUENCE:
            detail = f"The layer takes (time, features); what reaches it has the shape {shown(reach.query)}."
            raise Invalid(detail, pointer=at)
        if reach.query[-1] != reach.value[-1]:
            detail = f"Queries have {reach.query[-1]} features and values {reach.value[-1]}; Keras wants as many."
            raise Invalid(detail, pointer=at)
        return reach
