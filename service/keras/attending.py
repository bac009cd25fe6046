"""What Keras's attentions with kernels share: the config, the shapes of what they read, and their kernels."""

from math import prod
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from pydantic import Field

from service.contract.architecture.base import MOST_NUMBERS
from service.contract.problem import Invalid, TooComplex
from service.keras.base import Call, KerasLayer, Shape, Spec, known, shown
from service.keras.masks import masked, unmasked

Count = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(ge=0, lt=1)]
SEQUENCE: Final = 2
"""How many axes (time, features) has."""


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
        if axes == (1,) and len(reach.query) == SEQUENCE:
            masked(call, (heads, *steps), at)
        else:
            unmasked(call, at, windowed=self.sliding_window is not None)
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

    def held(self, call: Call[Any]) -> int:
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


def _fitting(reach: Reach, at: str) -> Reach:
    """Pass shapes of as many axes, with known features; Invalid otherwise."""
    for part, shape in zip(reach._fields, reach, strict=True):
        if len(shape) < SEQUENCE or len(shape) != len(reach.query):
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


def _steps(shape: Shape, axes: tuple[int, ...]) -> int | None:
    """Return how many steps there are along all these axes; None where one is open."""
    sizes = [shape[axis - 1] for axis in axes]
    return None if None in sizes else prod(size for size in sizes if size is not None)
