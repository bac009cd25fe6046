"""Keras's attention with kernels: MultiHeadAttention, and GroupQueryAttention, whose heads share keys and values."""

from math import prod
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from service.contract.architecture.base import MOST_NUMBERS
from service.contract.problem import Invalid, TooComplex, UnsupportedModel
from service.keras.base import Call, KerasLayer, Shape, Spec, known, shown
from service.keras.layers import keras
from service.keras.operations import constant

Count = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(ge=0, lt=1)]
TIME: int = 2
"""Axes of (time, features)."""


class Reach(NamedTuple):
    """The shapes of what an attention reads: who asks, who is asked, and what is passed on."""

    query: Shape
    key: Shape
    value: Shape


class Attending(KerasLayer):
    """Attention between kernels for queries, keys, values and the output."""

    parameters: ClassVar[tuple[str, ...]] = (
        "query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask", "return_attention_scores",
        "training", "use_causal_mask",
    )  # fmt: skip
    constants: ClassVar[frozenset[str] | None] = frozenset({"attention_mask"})
    ignored: ClassVar[frozenset[str]] = frozenset({"flash_attention", "query_shape", "key_shape", "value_shape"})

    dropout: Rate = 0.0
    use_bias: bool = True
    use_gate: bool = False
    """Whether the heads' answers are multiplied by the sigmoid of a kernel on the queries."""
    sliding_window: Annotated[int, Field(ge=1)] | None = None
    kernel_initializer: Spec = "glorot_uniform"
    bias_initializer: Spec = "zeros"
    kernel_regularizer: Spec = None
    bias_regularizer: Spec = None

    @property
    def heads(self) -> tuple[int, int]:
        """How many heads of queries there are, and of keys and values."""
        raise NotImplementedError

    @property
    def widths(self) -> tuple[int, int]:
        """Features of a key and of a value in one head."""
        raise NotImplementedError

    def made(self, features: int) -> tuple[int, ...]:
        """Return the sizes that stand behind time in the output, for queries of so many features."""
        return (features,)

    def axes(self, shape: Shape, at: str) -> tuple[int, ...]:  # noqa: ARG002  for layers that look at it
        """Return the axes that are attended along, the batch's being 0; Invalid where there are no such axes."""
        return (1,)

    def reach(self, call: Call[Any], at: str) -> Reach:
        """Return the shapes of what the layer is called with; Invalid where one is missing or does not fit."""
        given = {part: call.of(part) for part in ("query", "value", "key")}
        if not given["query"] or not given["value"]:
            detail = "Attention is called with a query and a value."
            raise Invalid(detail, pointer=at)
        query, value = given["query"][0].shape, given["value"][0].shape
        return _fitting(Reach(query, given["key"][0].shape if given["key"] else value, value), at)

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the queries' shape with other features, and that of the weights where the call returns them."""
        reach = self.reach(call, at)
        axes = self.axes(reach.query, at)
        _others(reach, axes, at)
        heads, steps = self.heads[0], tuple(_steps(shape, axes) for shape in (reach.query, reach.key))
        if axes == (1,) and len(reach.query) == TIME:
            _masked(call, (heads, *steps), at)
        else:
            _unmasked(call, at, windowed=self.sliding_window is not None)
        self._limited(heads, steps, at)
        shape = (*reach.query[:-1], *self.made(reach.query[-1] or 0))
        return (shape, (heads, *steps)) if call.get("return_attention_scores") else (shape,)

    def _limited(self, heads: int, steps: tuple[int | None, ...], at: str) -> None:
        """Pass products and weights that one sample has room for; TooComplex otherwise."""
        known_steps = [size or 1 for size in steps]
        for numbers in (heads * prod(known_steps), heads * max(self.widths) * max(known_steps)):
            if numbers > MOST_NUMBERS:
                detail = f"{heads} heads take {numbers} numbers per sample here; the limit is {MOST_NUMBERS}."
                raise TooComplex(detail, pointer=at)

    def weights(self, call: Call[Any]) -> int:
        """Return the numbers of all kernels and biases."""
        kernels = self.kernels(self.reach(call, ""))
        return sum(prod(size) + self.use_bias * prod(size[along:]) for size, along in kernels.values())

    def kernels(self, reach: Reach) -> dict[str, tuple[tuple[int, ...], int]]:
        """Return each kernel's shape in Keras, and how many of its axes come in."""
        features = reach.query[-1] or 0
        (heads, few), (width, value_width) = self.heads, self.widths
        gate = {"gate": ((features, heads, value_width), 1)} if self.use_gate else {}
        return {
            "query": ((features, heads, width), 1),
            "key": ((reach.key[-1] or 0, few, width), 1),
            "value": ((reach.value[-1] or 0, few, value_width), 1),
            **gate,
            "attention_output": ((heads, value_width, *self.made(features)), 2),
        }


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
        if len(reach.query) != TIME:
            detail = f"The layer takes (time, features); what reaches it has the shape {shown(reach.query)}."
            raise Invalid(detail, pointer=at)
        if reach.query[-1] != reach.value[-1]:
            detail = f"Queries have {reach.query[-1]} features and values {reach.value[-1]}; Keras wants as many."
            raise Invalid(detail, pointer=at)
        return reach


def _fitting(reach: Reach, at: str) -> Reach:
    """Pass shapes of as many axes, with known features; Invalid otherwise."""
    for part, shape in zip(reach._fields, reach, strict=True):
        if len(shape) < TIME or len(shape) != len(reach.query):
            detail = f"Query, key and value have (time, features), or as many axes more; the {part} is {shown(shape)}."
            raise Invalid(detail, pointer=at)
        known(shape[-1], at, f"features of the {part}")
    if any(None not in pair and len(set(pair)) > 1 for pair in zip(reach.key[:-1], reach.value[:-1], strict=True)):
        detail = f"Each key has one value; keys are {shown(reach.key)} and values {shown(reach.value)}."
        raise Invalid(detail, pointer=at)
    return reach


def _others(reach: Reach, axes: tuple[int, ...], at: str) -> None:
    """Pass queries and keys that agree in the axes that are not attended along; Invalid otherwise."""
    for axis, sizes in enumerate(zip(reach.query[:-1], reach.key[:-1], strict=True), 1):
        if axis not in axes and None not in sizes and sizes[0] != sizes[1]:
            detail = f"Queries are {shown(reach.query)} and keys {shown(reach.key)}; they differ in axis {axis}."
            raise Invalid(detail, pointer=at)
    if len(axes) > 1 and sum(reach.query[axis - 1] is None for axis in axes) > 1:
        detail = f"Sizes along the axes {list(axes)} must be known, but for one; the file leaves several open (null)."
        raise Invalid(detail, pointer=at)


def _masked(call: Call[Any], wanted: Shape, at: str) -> None:
    """Pass masks that stretch to (heads, query steps, key steps); Invalid otherwise."""
    _, steps, seen = wanted
    for name, size in (("query_mask", steps), ("value_mask", seen), ("key_mask", seen)):
        for given in call.of(name):
            stretching(given.shape, (size,), name, at)
    mask = call.get("attention_mask")
    if isinstance(mask, call.kind):
        stretching(mask.shape, wanted[3 - max(2, len(mask.shape)) :], "attention_mask", at)
    elif mask is not None:
        sizes = constant(mask, at)
        stretching(sizes, (1, *wanted)[4 - min(4, max(2, len(sizes))) :], "attention_mask", at)


def stretching(shape: Shape, wanted: Shape, name: str, at: str) -> None:
    """Pass a mask's sizes where each is the wanted one, or 1; Invalid otherwise."""
    pairs = zip(shape, wanted, strict=False)
    if len(shape) != len(wanted) or any(size not in {None, 1, whole} and whole is not None for size, whole in pairs):
        detail = f"The {name} has the sizes {list(shape)}; {list(wanted)} are expected."
        raise Invalid(detail, pointer=at)


def _unmasked(call: Call[Any], at: str, *, windowed: bool) -> None:
    """Pass a call without masks and returned weights, over other axes than time; UnsupportedModel otherwise."""
    given = [name for name in call.arguments if name.endswith("_mask") and call.get(name) not in (None, False)]
    if given or call.get("return_attention_scores") or windowed:
        raise unmaskable(at)


def unmaskable(at: str) -> UnsupportedModel:
    """Return the refusal of masks over other axes than time."""
    detail = "Masks and returned weights are examined for (time, features) only; export the model to ONNX."
    return UnsupportedModel(detail, pointer=at)


def _steps(shape: Shape, axes: tuple[int, ...]) -> int | None:
    """Return how many steps there are along all these axes; None where one is open."""
    sizes = [shape[axis - 1] for axis in axes]
    return None if None in sizes else prod(size for size in sizes if size is not None)
