"""What every attention has: its heads, and the kernels that follow from them."""

from math import prod
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from service.contract.architecture.base import MOST_NUMBERS, SEQUENCE, LayerBase, Shape, Share, Size, fits
from service.contract.architecture.laws import Init, InitSpec
from service.contract.problem import Invalid, TooComplex


class Reach(NamedTuple):
    """The sequences of an attention: who asks, who is asked, and what is passed on."""

    query: Shape
    key: Shape
    value: Shape


class Heads(LayerBase):
    """An attention's heads: each compares queries with keys and mixes values by the softmax of the products."""

    heads: Size
    groups: Size | None = None
    """Heads of keys and values; each serves as many heads of queries.  As many as `heads` by default."""
    width: Size | None = None
    """Features of a query and a key in one head; the layer's features by the heads, by default."""
    value_width: Size | None = None
    """Features of a value in one head; as `width` by default."""
    bias: bool = True
    """Whether biases are added to queries, keys and values."""
    output_bias: bool | None = None
    """Whether one is added to the output; as `bias` by default."""
    query_key_norm: Literal["none", "layer_norm", "rms_norm"] = "none"
    """Normalizes each head's queries and keys, with scales that all heads share (Dehghani et al. 2023)."""
    attention_dropout: Share = 0
    """The share of weights between two steps that training drops."""
    init: InitSpec = Init()
    """The laws of all kernels and biases for which no others are named."""
    query_init: InitSpec | None = None
    key_init: InitSpec | None = None
    value_init: InitSpec | None = None
    output_init: InitSpec | None = None

    @property
    def key_heads(self) -> int:
        """How many heads of keys and values there are."""
        return self.groups or self.heads

    def widths(self, features: int) -> tuple[int, int]:
        """Return the features of a key and of a value in one head, where a query has `features` in all."""
        width = self.width or features // self.heads
        return width, self.value_width or width

    def kernels(self, reach: Reach) -> dict[str, tuple[int, int]]:
        """Return the shape of each kernel, (in, out)."""
        features = reach.query[-1]
        width, value_width = self.widths(features)
        return {
            "query": (features, self.heads * width),
            "key": (reach.key[-1], self.key_heads * width),
            "value": (reach.value[-1], self.key_heads * value_width),
            "output": (self.heads * value_width, features),
        }

    def biased(self, part: str) -> bool:
        """Return whether a bias is added to what this kernel makes."""
        return self.bias if part != "output" or self.output_bias is None else self.output_bias

    def laws(self, part: str) -> Init:
        """Return the laws of this kernel and its bias."""
        own = {
            "query": self.query_init,
            "key": self.key_init,
            "value": self.value_init,
            "output": self.output_init,
        }[part]
        return own or self.init

    def counted(self, reach: Reach) -> int:
        """Return how many trained numbers the attention holds."""
        kernels = self.kernels(reach)
        total = sum(prod(size) + self.biased(part) * size[1] for part, size in kernels.items())
        return total + 2 * norm_weights(self.query_key_norm, self.widths(reach.query[-1])[0])

    def attentive(self, reach: Reach, at: str) -> None:
        """Pass sequences that the heads can attend to; Invalid or TooComplex otherwise."""
        for shape in reach:
            fits(shape, at, SEQUENCE)
        self._divided(reach.query[-1], at)
        steps, seen = reach.query[0], reach.key[0]
        if reach.value[0] != seen:
            detail = f"There are {seen} keys and {reach.value[0]} values; each key has one value."
            raise Invalid(detail, pointer=f"{at}/inputs/2")
        if self.heads * steps * seen > MOST_NUMBERS:
            detail = (
                f"{self.heads} heads of {steps} steps over {seen} steps take {self.heads * steps * seen} numbers; "
                f"the limit is {MOST_NUMBERS}."
            )
            raise TooComplex(detail, pointer=f"{at}/heads")
        for part, (_, out) in self.kernels(reach).items():
            if out > MOST_NUMBERS // max(steps, seen):
                detail = f"The {part} takes {out} numbers per step; the limit is {MOST_NUMBERS // max(steps, seen)}."
                raise TooComplex(detail, pointer=at)

    def _divided(self, features: int, at: str) -> None:
        if self.width is None and features % self.heads:
            detail = f"The {features} features do not divide into {self.heads} heads; `width` would say what each has."
            raise Invalid(detail, pointer=f"{at}/heads")
        if self.heads % self.key_heads:
            detail = f"The {self.heads} heads do not divide into {self.key_heads} groups."
            raise Invalid(detail, pointer=f"{at}/groups")


class Turning(Heads):
    """Heads of a sequence that attends to itself, and so knows which step stands where."""

    causal: bool = False
    """Whether a step sees only itself and those before it."""
    rotary: bool = False
    """Whether queries and keys are turned by an angle that grows with the position (Su et al. 2021)."""
    rotary_base: Annotated[float, Field(gt=1, le=1e9, allow_inf_nan=False)] = 10_000.0

    def attentive(self, reach: Reach, at: str) -> None:
        """Pass sequences that the heads can attend to; a head that is turned has pairs of features."""
        super().attentive(reach, at)
        width = self.widths(reach.query[-1])[0]
        if self.rotary and width % 2:
            detail = f"Each head has {width} features; turning takes them in pairs."
            raise Invalid(detail, pointer=f"{at}/rotary")


def norm_weights(norm: str, features: int) -> int:
    """Return how many scales and shifts a norm over `features` holds."""
    return {"none": 0, "rms_norm": features, "layer_norm": 2 * features}[norm]
