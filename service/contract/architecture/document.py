"""The file: inputs, a chain of layers or a graph of nodes, and how the network will be trained."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, JsonValue, model_validator

from service.contract.architecture.base import VECTOR, DType, Name, Shape, Signal, Size, bounded
from service.contract.architecture.container import NAMED, Block, Layer, Shared
from service.contract.architecture.dense import Embedding
from service.contract.architecture.wiring import Step, named, walked, wired
from service.contract.base import Contract
from service.contract.options import Clipping
from service.contract.problem import Invalid, TooComplex
from service.contract.words import LossName, OptimizerName

MOST_LAYERS = 2000
MOST_NESTING = 16
MOST_WEIGHTS = 200_000_000

Layers: TypeAlias = Annotated[tuple[Layer, ...], Field(fail_fast=True, min_length=1, max_length=MOST_LAYERS)]

_NOTHING: Final[JsonValue] = {"type": "null"}
_ONE: Final[JsonValue] = {"type": "object"}
_LIST: Final[JsonValue] = {"type": "array"}
_FORMS: Final[list[JsonValue]] = [
    {
        "title": "A chain",
        "required": ["input", "layers"],
        "properties": {"input": _ONE, "layers": _LIST, "inputs": _NOTHING, "nodes": _NOTHING, "outputs": _NOTHING},
    },
    {
        "title": "A graph with one input",
        "required": ["input", "nodes"],
        "properties": {"input": _ONE, "nodes": _LIST, "inputs": _NOTHING, "layers": _NOTHING},
    },
    {
        "title": "A graph with inputs by name",
        "required": ["inputs", "nodes"],
        "properties": {"inputs": _ONE, "nodes": _LIST, "input": _NOTHING, "layers": _NOTHING},
    },
]
"""Which fields go together, for the JSON Schema; `Architecture` itself says it in a validator."""


class Given(Contract):
    """What one sample of an input looks like."""

    shape: Annotated[tuple[Size, ...], Field(min_length=1, max_length=4)]
    """Without the batch axis: [features], [time, features], [channels, height, width] or [channels, depth, height,
    width]; [time] for tokens.
    """
    dtype: DType = "float32"
    classes: int | None = Field(default=None, ge=1, le=10_000_000)
    """Of int64 tokens: how many there are; the embedding's rows by default."""

    @property
    def signal(self) -> Signal:
        """What the layers receive."""
        return Signal(self.shape, self.dtype)


class Penalty(Contract):
    """What a kernel adds to the loss: l1 · Σ|w| + l2 · Σw².

    Recurrent layers' kernels and the tables of embeddings add nothing.
    """

    l1: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    l2: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0


class InputSpec(Given):
    """The input of a chain, and its name."""

    name: Name = "input"


class Architecture(Contract):
    """A network: a chain of `layers` behind one input, or a graph of `nodes` behind named inputs."""

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
                },
                {
                    "gradgate": "1",
                    "inputs": {"left": {"shape": [16]}, "right": {"shape": [16]}},
                    "nodes": [
                        {"kind": "dense", "name": "tower", "units": 32, "inputs": ["left"]},
                        {"kind": "shared", "name": "twin", "layer": "tower", "inputs": ["right"]},
                        {"kind": "add", "name": "joined", "inputs": ["tower", "twin"]},
                        {"kind": "relu", "name": "hidden"},
                        {"kind": "dense", "name": "score", "units": 1},
                    ],
                    "outputs": ["score"],
                },
            ],
            "anyOf": _FORMS,
        }
    )

    gradgate: Literal["1"]
    """The format's version."""
    input: InputSpec | None = None
    """The only input."""
    inputs: Annotated[dict[Name, Given], Field(min_length=1, max_length=64)] | None = None
    """The inputs of a graph, by name."""
    layers: Layers | None = None
    """A chain: each layer reads the one before it."""
    nodes: Layers | None = Field(default=None, json_schema_extra=NAMED)
    """A graph: each node has a `name` and reads `inputs`, in the order of computation."""
    outputs: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)] | None = None
    """The nodes that the network gives; the last by default."""
    loss: LossName | None = None
    optimizer: OptimizerName | None = None
    learning_rate: float | None = Field(default=None, gt=0, le=1e6, allow_inf_nan=False)
    momentum: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    weight_decay: float | None = Field(default=None, ge=0, le=1e3, allow_inf_nan=False)
    clipping: Clipping | None = None
    warmup: int | None = Field(default=None, ge=0, le=1_000_000)
    """Steps over which the learning rate rises by equal parts to its value."""
    penalty: Penalty | None = None
    """What each kernel adds to the loss."""

    @model_validator(mode="after")
    def _whole(self) -> "Architecture":
        if (self.layers is None) == (self.nodes is None):
            msg = "a network has `layers`, a chain, or `nodes`, a graph; one of the two"
            raise ValueError(msg)
        if (self.input is None) == (self.inputs is None):
            msg = "a network has an `input`, or `inputs` by name; one of the two"
            raise ValueError(msg)
        if self.layers is not None and (self.inputs is not None or self.outputs is not None):
            msg = "a chain of `layers` has an `input` and one output; `inputs` and `outputs` belong to `nodes`"
            raise ValueError(msg)
        return self

    @property
    def given(self) -> dict[str, Given]:
        """The inputs, by name."""
        return self.inputs or ({self.input.name: self.input} if self.input else {})

    @property
    def gives(self) -> tuple[str, ...]:
        """The names of the nodes that the network gives; of a chain, that of its end."""
        if self.nodes is None:
            return ("output" if "output" not in self.given else "output_1",)
        return self.outputs or (self.nodes[-1].name or "",)

    def steps(self) -> Iterator[Step]:
        """Yield the layers at the top, in the order of computation; Invalid where one does not fit what reaches it."""
        signals = {name: each.signal for name, each in self.given.items()}
        if self.layers is not None:
            return walked(self.layers, next(iter(signals.values())), "/layers")
        return wired(self.nodes or (), signals, "/nodes")

    def output_shape(self) -> Shape:
        """Return the shape of one sample of the (first) output; Invalid where a layer does not fit what reaches it."""
        afters = [step.after.shape for step in self.steps()]
        if self.nodes is None:
            return afters[-1]
        return afters[[node.name for node in self.nodes].index(self.gives[0])]

    def weights(self) -> int:
        """Return how many trained numbers the network holds."""
        return sum(step.weights for step in self.steps())

    def classes(self, name: str) -> int | None:
        """Return how many tokens there are of an int64 input: as it says, or the rows of what looks them up."""
        return self.given[name].classes or min(self.rows[name], default=None)

    @cached_property
    def rows(self) -> dict[str, list[int]]:
        """The rows of the tables in which the tokens of each input are looked up."""
        found: dict[str, list[int]] = {name: [] for name in self.given}
        for step in self.steps():
            for name in found:
                if step.at == "/layers/0" if self.layers else name in step.reads:
                    found[name] += _tables(step.layer)
        return found

    def checked(self) -> "Architecture":
        """Return this architecture; Invalid or TooComplex, with a JSON pointer, where it cannot be built.

        Nothing is allocated: sizes are counted on paper.
        """
        _count(self.layers or self.nodes or (), "/layers" if self.layers else "/nodes", 1, graph=bool(self.nodes))
        at = "/inputs/{}" if self.inputs else "/input"
        for name, each in self.given.items():
            _tokens(each, at.format(name))
            self._looked_up(name, at.format(name))
        total = 0
        for step in self.steps():
            total += step.weights
            if total > MOST_WEIGHTS:
                detail = f"The network holds {total} weights up to here; the limit is {MOST_WEIGHTS}."
                raise TooComplex(detail, pointer=step.at)
        self._named()
        return self

    def _looked_up(self, name: str, at: str) -> None:
        """Pass tokens that every table holds."""
        rows, given = self.rows[name], self.given[name].classes or 0
        if rows and given > min(rows):
            detail = f"The input has {given} classes; the embedding's table has {min(rows)} rows."
            raise Invalid(detail, pointer=f"{at}/classes")

    def _named(self) -> None:
        """Pass names that say one thing each."""
        names = [node.name for node in self.nodes or ()]
        for index, name in enumerate(names):
            if name in self.given:
                detail = f"An input is named {name!r} as well."
                raise Invalid(detail, pointer=f"/nodes/{index}/name")
        for index, name in enumerate(self.outputs or ()):
            if name not in names or name in (self.outputs or ())[:index]:
                detail = f"There is no node {name!r}." if name not in names else f"The node {name!r} is named twice."
                raise Invalid(detail, pointer=f"/outputs/{index}")


def _tables(layer: Layer) -> Iterator[int]:
    """Yield the rows of the tables in which a layer, or what stands first inside it, looks tokens up."""
    if isinstance(layer, Embedding):
        yield layer.classes
    for _, inner in layer.lists():
        first = inner[:1]
        if isinstance(layer, Block):
            first = tuple(node for node in inner if set(layer.takes) & set(node.inputs or layer.takes))
        for each in first:
            yield from _tables(each)


def _count(layers: tuple[Layer, ...], at: str, nesting: int, *, graph: bool = False) -> int:
    """Return how many layers there are: containers, repetitions, and whatever is shared as often as it is used."""
    if nesting > MOST_NESTING:
        detail = f"The layers are nested {nesting} deep; the limit is {MOST_NESTING}."
        raise TooComplex(detail, pointer=at.rpartition("/")[0])
    named(layers, at, required=graph)
    total, sizes = 0, dict[str, int]()
    for index, layer in enumerate(layers):
        pointer = f"{at}/{index}"
        size = sizes.get(layer.layer, 1) if isinstance(layer, Shared) else 1
        for place, inner in layer.lists():
            size += layer.repetitions() * _count(inner, pointer + place, nesting + 1, graph=place == "/nodes")
        sizes[layer.name or ""] = size
        total += size
        if total > MOST_LAYERS:
            detail = f"There are {total} layers, repetitions included; the limit is {MOST_LAYERS}."
            raise TooComplex(detail, pointer=pointer)
    return total


def _tokens(given: Given, at: str) -> None:
    bounded(given.shape, f"{at}/shape")
    if given.dtype == "float32" and given.classes is not None:
        detail = "The input is float32; classes belong to int64 tokens."
        raise Invalid(detail, pointer=f"{at}/classes")
    if given.dtype == "int64" and len(given.shape) != VECTOR:
        detail = f"Tokens have the shape [time]; the input's is {list(given.shape)}."
        raise Invalid(detail, pointer=f"{at}/shape")
