"""Layers that hold layers, and the closed list of all kinds."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, JsonValue

from service.contract.architecture.activation import Activations
from service.contract.architecture.attention import Attentions
from service.contract.architecture.base import LayerBase, Name, Signal
from service.contract.architecture.branching import Branchings, Gated, Parallel, Residual
from service.contract.architecture.containing import Chain, Container, held_by
from service.contract.architecture.convolution import Convolutions
from service.contract.architecture.dense import Denses
from service.contract.architecture.merging import Merges
from service.contract.architecture.normalization import Norms
from service.contract.architecture.pooling import Pools
from service.contract.architecture.recurrent import Recurrents
from service.contract.architecture.resampling import Resamplings
from service.contract.architecture.reshaping import Reshapings
from service.contract.architecture.transposed import Transposes
from service.contract.architecture.wiring import Step, chained, walked, wired
from service.contract.problem import Invalid

NAMED: Final[dict[str, JsonValue]] = {"allOf": [{"items": {"required": ["name"]}}]}
"""What the JSON Schema says of nodes beside that they are layers."""


class Repeat(Container):
    """The inner chain several times over, each time with weights of its own, or all with the same."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "repeat", "times": 10, "layers": [{"kind": "dense", "units": 8}, {"kind": "tanh"}]}],
            "x-reads": [[8]],
        }
    )

    kind: Literal["repeat"]
    times: Annotated[int, Field(ge=1, le=1000)]
    layers: Chain
    shared: bool = False
    """Whether all times use the weights of the first."""

    def passed(self, signal: Signal, at: str) -> Signal:
        """Return what comes out of the last time."""
        for _ in range(self.times):
            before, signal = signal, chained(self.layers, signal, f"{at}/layers")
            if signal == before:  # and so from here on
                break
            if self.shared:
                detail = f"Shared weights need one shape; {list(before.shape)} becomes {list(signal.shape)}."
                raise Invalid(detail, pointer=f"{at}/shared")
        return signal

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return the weights of all times."""
        total, (signal,) = 0, given
        for left in reversed(range(1 if self.shared else self.times)):
            each, after = held_by(walked(self.layers, signal, "")), chained(self.layers, signal, "")
            total += each
            if after == signal:  # and so from here on
                return total + each * left
            signal = after
        return total

    def lists(self) -> Iterator[tuple[str, tuple["Layer", ...]]]:
        """Yield the inner chain."""
        yield "/layers", self.layers

    def repetitions(self) -> int:
        """Return how often the inner chain is put down."""
        return self.times


class Block(LayerBase):
    """A graph of nodes within a layer, which calls what reaches it by names of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "block",
                    "nodes": [
                        {"kind": "dense", "name": "wide", "units": 8, "inputs": ["input"]},
                        {"kind": "add", "name": "sum", "inputs": ["input", "wide"]},
                    ],
                }
            ],
            "x-reads": [[8]],
        }
    )

    kind: Literal["block"]
    takes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)] = ("input",)
    """What the nodes call the values that reach the block, in the order of its `inputs`."""
    nodes: Chain = Field(json_schema_extra=NAMED)
    gives: Name | None = None
    """The node that the block passes on; the last by default."""

    def after(self, given: tuple[Signal, ...], at: str) -> Signal:
        """Return what the node that the block gives makes."""
        if len(given) != len(self.takes):
            detail = f"The block takes {', '.join(self.takes)}; {len(given)} values reach it."
            raise Invalid(detail, pointer=f"{at}/takes")
        afters = {node.name: step.after for node, step in zip(self.nodes, self.steps(given, at), strict=True)}
        if self.last not in afters:
            detail = f"There is no node {self.last!r} in the block."
            raise Invalid(detail, pointer=f"{at}/gives")
        return afters[self.last]

    @property
    def last(self) -> str:
        """The name of the node that the block passes on."""
        return self.gives or self.nodes[-1].name or ""

    def steps(self, given: tuple[Signal, ...], at: str) -> Iterator[Step]:
        """Yield the nodes as steps."""
        return wired(self.nodes, dict(zip(self.takes, given, strict=True)), f"{at}/nodes")

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return the nodes' weights."""
        return held_by(self.steps(given, ""))

    def lists(self) -> Iterator[tuple[str, tuple["Layer", ...]]]:
        """Yield the nodes."""
        yield "/nodes", self.nodes


class Shared(LayerBase):
    """Applies another node's layer, with that node's weights, to other values."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "shared", "name": "right", "layer": "left", "inputs": ["second"]}]}
    )

    kind: Literal["shared"]
    layer: Name
    """The node whose layer and weights are used; it stands before this one, in the same list."""

    def after(self, given: tuple[Signal, ...], at: str) -> Signal:  # noqa: ARG002  nodes resolve what they share
        """Refuse: only a graph of nodes knows what is shared."""
        detail = "Layers are shared between nodes; a chain has `repeat` with `shared`."
        raise Invalid(detail, pointer=at)


Layer: TypeAlias = Annotated[
    Denses
    | Convolutions
    | Transposes
    | Activations
    | Norms
    | Pools
    | Resamplings
    | Reshapings
    | Merges
    | Recurrents
    | Attentions
    | Branchings
    | Repeat
    | Block
    | Shared,
    Field(discriminator="kind"),
]
"""Any layer, told apart by `kind`; each family lists its own."""

for each in (Residual, Repeat, Parallel, Gated, Block):
    each.model_rebuild(_types_namespace={"Layer": Layer})
