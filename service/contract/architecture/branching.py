"""Layers in which one value goes several ways: past a chain, through several, or through a gate."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import IMAGE, Finite, Shape, Signal, bounded, channels, typed
from service.contract.architecture.containing import Branch, Chain, Container, held_by
from service.contract.architecture.laws import Init, InitSpec
from service.contract.architecture.wiring import chained, walked
from service.contract.problem import Invalid

if TYPE_CHECKING:
    from service.contract.architecture.container import Layer


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
        return held_by(walked(self.layers, given[0], "")) + projection + (self.gate is not None)

    def lists(self) -> Iterator[tuple[str, tuple["Layer", ...]]]:
        """Yield the inner chain."""
        yield "/layers", self.layers


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
        return sum(held_by(walked(branch, given[0], "")) for branch in self.branches)

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
        return held_by(walked(self.layers, given[0], "")) + held_by(walked(self.gate, given[0], ""))

    def lists(self) -> Iterator[tuple[str, tuple["Layer", ...]]]:
        """Yield the chain and the gate's."""
        yield "/layers", self.layers
        yield "/gate", self.gate


def _fixed(shape: Shape, merge: str) -> Shape:
    """Return what branches must have in common."""
    if merge != "concat":
        return shape
    return (len(shape), *(shape[1:] if len(shape) >= IMAGE else shape[:-1]))


Branchings: TypeAlias = Residual | Parallel | Gated
