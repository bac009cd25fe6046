"""The file: an input, a chain of layers, and how it will be trained."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from service.contract.architecture.base import VECTOR, LayerBase, Shape, Size, bounded
from service.contract.architecture.container import Layer, Repeat, Residual, chained, walked
from service.contract.architecture.dense import Embedding
from service.contract.base import Contract
from service.contract.options import Clipping
from service.contract.problem import Invalid, TooComplex
from service.contract.words import LossName, OptimizerName

MOST_LAYERS = 2000
MOST_NESTING = 16
MOST_WEIGHTS = 200_000_000


class InputSpec(Contract):
    """What one sample looks like."""

    shape: Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)]
    """Without the batch axis: [features], [time, features], or [channels, height, width]; [time] for tokens."""
    dtype: Literal["float32", "int64"] = "float32"
    classes: int | None = Field(default=None, ge=1, le=10_000_000)
    """Of int64 tokens: how many there are; the embedding's rows by default."""
    name: str = Field(default="input", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=100)


class Architecture(Contract):
    """A network as a chain of layers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "gradgate": "1",
                    "input": {"shape": [3, 32, 32]},
                    "layers": [
                        {"kind": "conv2d", "filters": 16, "kernel": 3, "padding": "same", "init": "he_normal"},
                        {"kind": "relu"},
                        {"kind": "global_avg_pool"},
                        {"kind": "dense", "units": 10},
                    ],
                    "loss": "cross_entropy",
                    "optimizer": "adam",
                    "learning_rate": 0.001,
                }
            ]
        }
    )

    gradgate: Literal["1"]
    """The format's version."""
    input: InputSpec
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=MOST_LAYERS)
    loss: LossName | None = None
    optimizer: OptimizerName | None = None
    learning_rate: float | None = Field(default=None, gt=0, le=1e6, allow_inf_nan=False)
    momentum: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    weight_decay: float | None = Field(default=None, ge=0, le=1e3, allow_inf_nan=False)
    clipping: Clipping | None = None

    @property
    def classes(self) -> int | None:
        """How many tokens there are, of an int64 input."""
        first = self.layers[0]
        return (self.input.classes or first.classes) if isinstance(first, Embedding) else None

    def output_shape(self) -> Shape:
        """Return the shape of one sample's output; Invalid where a layer does not fit what reaches it."""
        return chained(self.layers, self.input.shape, "")

    def weights(self) -> int:
        """Return how many trained numbers the network holds."""
        return sum(layer.weights(shape) for layer, shape, _ in walked(self.layers, self.input.shape, ""))

    def checked(self) -> "Architecture":
        """Return this architecture; Invalid or TooComplex, with a JSON pointer, where it cannot be built.

        Nothing is allocated: sizes are counted on paper.
        """
        _count(self.layers, "", 1)
        bounded(self.input.shape, "/input/shape")
        _tokens(self)
        total = 0
        for layer, shape, at in walked(self.layers, self.input.shape, ""):
            total += layer.weights(shape)
            if total > MOST_WEIGHTS:
                detail = f"The network holds {total} weights up to here; the limit is {MOST_WEIGHTS}."
                raise TooComplex(detail, pointer=at)
        return self


def _count(layers: tuple[Layer, ...], at: str, nesting: int) -> int:
    """Return how many layers there are, repetitions and containers included."""
    if nesting > MOST_NESTING:
        detail = f"The layers are nested {nesting} deep; the limit is {MOST_NESTING}."
        raise TooComplex(detail, pointer=at)
    _distinct(layers, at)
    total = 0
    for index, layer in enumerate(layers):
        pointer = f"{at}/layers/{index}"
        total += 1
        if isinstance(layer, Residual | Repeat):
            inner = _count(layer.layers, pointer, nesting + 1)
            total += inner * (layer.times if isinstance(layer, Repeat) else 1)
        if total > MOST_LAYERS:
            detail = f"There are {total} layers, repetitions included; the limit is {MOST_LAYERS}."
            raise TooComplex(detail, pointer=pointer)
    return total


def _distinct(layers: tuple[LayerBase, ...], at: str) -> None:
    seen: set[str] = set()
    for index, layer in enumerate(layers):
        if layer.name is not None and layer.name in seen:
            detail = f"Two layers are named {layer.name!r}; siblings have names of their own."
            raise Invalid(detail, pointer=f"{at}/layers/{index}/name")
        seen.add(layer.name or "")


def _tokens(architecture: Architecture) -> None:
    given, first = architecture.input, architecture.layers[0]
    if (given.dtype == "int64") != isinstance(first, Embedding):
        detail = f"The input is {given.dtype} and the first layer is {first.kind}; int64 goes with an embedding only."
        raise Invalid(detail, pointer="/layers/0")
    if not isinstance(first, Embedding):
        if given.classes is not None:
            detail = f"The input is {given.dtype}; classes belong to int64 tokens."
            raise Invalid(detail, pointer="/input/classes")
        return
    if len(given.shape) != VECTOR:
        detail = f"Tokens have the shape [time]; the input's is {list(given.shape)}."
        raise Invalid(detail, pointer="/input/shape")
    if (given.classes or 0) > first.classes:
        detail = f"The input has {given.classes} classes; the embedding's table has {first.classes} rows."
        raise Invalid(detail, pointer="/input/classes")
