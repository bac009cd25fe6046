"""Layers that hold layers, and the closed list of all kinds."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.activation import Activations
from service.contract.architecture.attention import Attentions
from service.contract.architecture.base import (
    IMAGE,
    Finite,
    LayerBase,
    Name,
    Shape,
    Signal,
    bounded,
    channels,
    typed,
)
from service.contract.architecture.convolution import Convolutions
from service.contract.architecture.dense import Denses
from service.contract.architecture.laws import Init, InitSpec
from service.contract.architecture.merging import Merges
from service.contract.architecture.normalization import Norms
from service.contract.architecture.pooling import Pools
from service.contract.architecture.recurrent import Recurrents
from service.contract.architecture.resampling import Resamplings
from service.contract.architecture.reshaping import Reshapings
from service.contract.architecture.transposed import Transposes
from service.contract.architecture.wiring import Step, chained, walked, wired
from service.contract.problem import Invalid

Chain: TypeAlias = Annotated[tuple["Layer", ...], Field(fail_fast=True, min_length=1, max_length=200)]
Branch: TypeAlias = Annotated[tuple["Layer", ...], Field(fail_fast=True, max_length=200)]


class Container(LayerBase):
    """A layer made of one value's way through layers."""

    def after(self, given: tuple[Signal, ...], at: str) -> Signal:
        """Return what the layers inside make of the signal."""
        if len(given) != 1:
            detail = f"The block reads one value; {len(given)} are named."
            raise Invalid(detail, pointer=f"{at}/inputs")
        return self.passed(given[0], at)

    def passed(self, signal: Signal, at: str) -> Signal:
        """Return what the layers inside make of the signal; Invalid where they do not fit."""
        raise NotImplementedError


class Residual(Container):
    """Adds what the inner chain makes of the input to the input itself.

    Where the two differ in shape, the input goes through a projection: a 1x1 convolution, with the stride that the
    inner chain has, or a dense layer, without bias.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "residual", "layers": [{"kind": "dense", "units": 8}], "scale": 0.5}],
            "x-reads": [[8]],
        }
    )

    kind: Literal["residual"]
    layers: Chain
    projection: Literal["auto", "never"] = "auto"
    scale: Finite = 1.0
    """Multiplies the inner chain."""
    gate: Finite | None = None
    """Where a learned factor of the inner chain starts, one number per block; 0 makes it a ReZero block."""
    init: InitSpec = Init()
    """The laws of the projection."""

    def passed(self, signal: Signal, at: str) -> Signal:
        """Return the inner chain's shape, to which the input must be projectable."""
        typed((signal,), "float32", at)
        after = chained(self.layers, signal, f"{at}/layers")
        shape = signal.shape
        if after != signal and (self.projection == "never" or self.strides(shape, after.shape) is None):
            detail = (
                f"The input {list(shape)} cannot be added to what the inner chain makes of it, {list(after.shape)}."
            )
            raise Invalid(detail, pointer=at)
        return after

    def strides(self, shape: Shape, after: Shape) -> tuple[int, ...] | None:
        """Return the projection's stride per inner axis (none for vectors); None where no projection fits."""
        if len(shape) != len(after):
            return None
        if len(shape) < IMAGE:
            return () if shape[:-1] == after[:-1] else None
        strides = tuple(-(-before // small) for before, small in zip(shape[1:], after[1:], strict=True))
        reached = tuple(-(-before // stride) for before, stride in zip(shape[1:], strides, strict=True))
        return strides if reached == after[1:] else None

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return the inner chain's weights, the projection's and the gate's."""
        shape, after = given[0].shape, chained(self.layers, given[0], "").shape
        projection = 0 if after == shape else channels(shape) * channels(after)
        return _held(walked(self.layers, given[0], "")) + projection + (self.gate is not None)

    def lists(self) -> Iterator[tuple[str, tuple["Layer", ...]]]:
        """Yield the inner chain."""
        yield "/layers", self.layers


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
            each, after = _held(walked(self.layers, signal, "")), chained(self.layers, signal, "")
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


class Parallel(Container):
    """Several chains side by side on one input, their outputs concatenated, added, averaged or multiplied.

    An empty branch passes the input on: with `concat`, one beside a convolution is a dense connection.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "parallel", "branches": [[], [{"kind": "dense", "units": 8}]], "merge": "concat"},
            ],
            "x-reads": [[8]],
        }
    )

    kind: Literal["parallel"]
    branches: Annotated[tuple[Branch, ...], Field(min_length=2, max_length=64)]
    merge: Literal["concat", "add", "average", "multiply"] = "concat"
    """`concat` lays channels of images and volumes, else features, behind each other."""

    def passed(self, signal: Signal, at: str) -> Signal:
        """Return the merged shape; the branches must agree in all axes but the one that is concatenated."""
        typed((signal,), "float32", at)
        shapes = [chained(branch, signal, f"{at}/branches/{index}").shape for index, branch in enumerate(self.branches)]
        for (index, one), other in zip(enumerate(shapes[1:], 1), shapes, strict=False):
            if _fixed(one, self.merge) != _fixed(other, self.merge):
                detail = f"The branches give {list(other)} and {list(one)}, which {self.merge!r} cannot merge."
                raise Invalid(detail, pointer=f"{at}/branches/{index}")
        if self.merge != "concat":
            return Signal(shapes[0])
        total, first = sum(map(channels, shapes)), shapes[0]
        return Signal(bounded((total, *first[1:]) if len(first) >= IMAGE else (*first[:-1], total), at))

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return the weights of all branches."""
        return sum(_held(walked(branch, given[0], "")) for branch in self.branches)

    def lists(self) -> Iterator[tuple[str, tuple["Layer", ...]]]:
        """Yield the branches."""
        for index, branch in enumerate(self.branches):
            yield f"/branches/{index}", branch


class Gated(Container):
    """Multiplies what one chain makes of the input by a gate between 0 and 1, the sigmoid of another chain.

    With `carry`, the rest of the gate passes the input on: a highway layer (Srivastava et al. 2015).
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "gated",
                    "layers": [{"kind": "dense", "units": 8}],
                    "gate": [{"kind": "dense", "units": 8}],
                    "carry": True,
                }
            ],
            "x-reads": [[8]],
        }
    )

    kind: Literal["gated"]
    layers: Chain
    gate: Chain
    """What the gate is computed by; the sigmoid behind it stands there already."""
    carry: bool = False

    def passed(self, signal: Signal, at: str) -> Signal:
        """Return the chain's shape, which must be the gate's and, with `carry`, the input's."""
        typed((signal,), "float32", at)
        after = chained(self.layers, signal, f"{at}/layers")
        gate = chained(self.gate, signal, f"{at}/gate")
        if after != gate:
            detail = f"The chain gives {list(after.shape)} and the gate {list(gate.shape)}; they must be alike."
            raise Invalid(detail, pointer=f"{at}/gate")
        if self.carry and after != signal:
            detail = (
                f"The input {list(signal.shape)} cannot be carried past the chain, which gives {list(after.shape)}."
            )
            raise Invalid(detail, pointer=f"{at}/carry")
        return after

    def held(self, given: tuple[Signal, ...]) -> int:
        """Return the weights of both chains."""
        return _held(walked(self.layers, given[0], "")) + _held(walked(self.gate, given[0], ""))

    def lists(self) -> Iterator[tuple[str, tuple["Layer", ...]]]:
        """Yield the chain and the gate's."""
        yield "/layers", self.layers
        yield "/gate", self.gate


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
    nodes: Chain
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
        return _held(self.steps(given, ""))

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
    | Residual
    | Repeat
    | Parallel
    | Gated
    | Block
    | Shared,
    Field(discriminator="kind"),
]
"""Any layer, told apart by `kind`; each family lists its own."""

for each in (Residual, Repeat, Parallel, Gated, Block):
    each.model_rebuild()


def _held(steps: Iterator[Step]) -> int:
    return sum(step.weights for step in steps)


def _fixed(shape: Shape, merge: str) -> Shape:
    """Return what branches must have in common."""
    if merge != "concat":
        return shape
    return (len(shape), *(shape[1:] if len(shape) >= IMAGE else shape[:-1]))
