"""Layers of a file as ONNX operators, one module per family.

To add one: a function decorated with `@lowering("kind", …)`; it puts its nodes and weights down through the builder
and returns the name of its output value.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from service.contract.architecture import Layer, Shape
from service.registry import Registry
from worker.load.builder import Builder

Lowering: TypeAlias = Callable[..., str]
"""Called with the layer, the builder, the name of the value that reaches the layer, and that value's shape."""

Some = TypeVar("Some", bound=Lowering)

lowerings: Registry[Lowering] = Registry(__name__)


def lowering(*kinds: str) -> Callable[[Some], Some]:
    """Register a function for these kinds of layer."""

    def register(function: Some) -> Some:
        for kind in kinds:
            lowerings.add(kind, function)
        return function

    return register


def lower_layer(layer: Layer, build: Builder, value: str, shape: Shape) -> str:
    """Put one layer down behind `value`; return the name of its output."""
    return lowerings[layer.kind](layer, build, value, shape)


def lower_chain(layers: Sequence[Layer], build: Builder, value: str, shape: Shape) -> str:
    """Put the layers that stand in `build`'s layer (or at the top) down, one behind the other."""
    for index, layer in enumerate(layers):
        step = f"layers/{index}"
        place = f"{build.place}/{step}" if build.place else step
        title = f'"{layer.name}" ' if layer.name else ""
        origin = f"{place} {title}({layer.kind}){build.repetition}"
        value = lower_layer(layer, build.inner(layer.name or step, place, origin), value, shape)
        shape = layer.output(shape, f"/{place}")
    return value
