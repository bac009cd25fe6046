"""Layers of a file as ONNX operators, one module per family.

To add one: a function decorated with `@lowering("kind", …)`; it puts its nodes and weights down through the builder
and returns the name of its output value.  One decorated with `@joining("kind", …)` is given several values.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from service.contract.architecture import Layer, Shape, Signal
from service.contract.architecture.wiring import Step, walked
from service.registry import Registry
from worker.load.builder import Builder

Lowering: TypeAlias = Callable[..., str]
"""Called with the layer, the builder, the names of the values that reach the layer, and what these look like."""

Some = TypeVar("Some", bound=Callable[..., str])

lowerings: Registry[Lowering] = Registry(__name__)


def lowering(*kinds: str) -> Callable[[Some], Some]:
    """Register a function of (layer, builder, value, shape) for these kinds of layer, which read one value."""

    def register(function: Some) -> Some:
        def single(layer: Layer, build: Builder, values: Sequence[str], signals: Sequence[Signal]) -> str:
            return function(layer, build, values[0], signals[0].shape)

        for kind in kinds:
            lowerings.add(kind, single)
        return function

    return register


def joining(*kinds: str) -> Callable[[Some], Some]:
    """Register a function of (layer, builder, values, signals) for these kinds of layer."""

    def register(function: Some) -> Some:
        for kind in kinds:
            lowerings.add(kind, function)
        return function

    return register


def lower_layer(layer: Layer, build: Builder, value: str, shape: Shape) -> str:
    """Put one layer down behind `value`; return the name of its output."""
    return lowerings[layer.kind](layer, build, (value,), (Signal(shape),))


def lower_chain(layers: Sequence[Layer], build: Builder, value: str, signal: Signal, field: str = "layers") -> str:
    """Put the layers that stand in this field of `build`'s layer (or at the top) down, one behind the other."""
    for step in walked(tuple(layers), signal, f"{build.pointer}/{field}"):
        value = lower_step(step, build, (value,))
    return value


def lower_nodes(
    steps: Iterable[Step], names: Sequence[str | None], build: Builder, given: Mapping[str, str]
) -> dict[str, str]:
    """Put nodes down, each of this name; return the values of them all, and of those they read at the start."""
    values = dict(given)
    for name, step in zip(names, steps, strict=True):
        values[name or ""] = lower_step(step, build, [values[each] for each in step.reads], name)
    return values


def lower_step(step: Step, build: Builder, values: Sequence[str], name: str | None = None) -> str:
    """Put the layer of one step down behind `values`; a node may go by another name than the layer it shares."""
    place = step.at[1:]
    known = name or step.layer.name
    title = f'"{known}" ' if known else ""
    origin = f"{place} {title}({step.layer.kind}){build.repetition}"
    relative = step.at.removeprefix(build.pointer)[1:]
    inner = build.inner(known or relative, place, origin, owner=step.owner)
    return lowerings[step.layer.kind](step.layer, inner, values, step.given)
