"""Keras's layers as ONNX operators, one module per family.

To add one: a function decorated with `@lowers("Dense", …)`; it is called with the layer's config, the builder and the
call (whose leaves are `Signal`s), puts its nodes and weights down through the builder, and returns the name of its
output value, a `Signal` where the mask is its own affair, or a tuple of these for several outputs.  Values keep
Keras's layout: channels last unless the config says otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from service.keras.base import Call, Form, KerasLayer, Ref
from service.keras.calls import Step
from service.keras.models import Model
from service.keras.older import SETTLED
from service.registry import Registry
from worker.load.builder import Builder


@dataclass(frozen=True)
class Signal(Form):
    """A value on its way: what it is called, what it looks like, and which of its steps count."""

    value: str
    mask: str | None = None
    """A bool value (batch, time), false where a step is masked."""


Made: TypeAlias = str | Signal
Lowering: TypeAlias = Callable[..., Made | tuple[Made, ...]]
Some = TypeVar("Some", bound=Lowering)

lowerings: Registry[Lowering] = Registry(__name__)


def lowers(*names: str) -> Callable[[Some], Some]:
    """Register a function for these classes of layer."""

    def register(function: Some) -> Some:
        for name in names:
            lowerings.add(name, function)
        return function

    return register


def lower_layer(layer: KerasLayer, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """Put one layer down; return what it gives."""
    if isinstance(layer, Model):
        return lower_model(layer, build, call)
    made = lowerings[layer.kind](layer, build, call)
    given = made if isinstance(made, tuple) else (made,)
    shapes = layer.outputs(call, build.pointer)
    mask = next((leaf.mask for leaf in call.leaves if leaf.mask), None) if layer.masking == "passes" else None
    return tuple(
        each if isinstance(each, Signal) else Signal(shape, value=each, mask=mask)
        for each, shape in zip(given, shapes, strict=True)
    )


def lower_model(model: Model, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """Put a model's layers down, each call of a layer under a name of its own, with the weights of the first."""
    signals: dict[Ref, Signal] = dict(model.bind(call, build.pointer))
    for step in model.steps:
        given = _told(model.called(step, signals, Signal))
        for index, signal in enumerate(lower_layer(step.layer, _inside(build, step), given)):
            signals[step.ref(index)] = signal
        for ref in (ref for name in step.layer.unmasks for ref in step.call.of(name)):
            signals[ref] = replace(signals[ref], mask=None)
    return tuple(signals[ref] for _, ref in model.gives)


def _told(call: Call[Signal]) -> Call[Signal]:
    """Return the call with the mask that it names, if it names one, on the tensor that it reads."""
    mask, (first, read) = call.get("mask"), next(iter(call.arguments.items()))
    if not isinstance(mask, Signal) or mask.dtype != "bool" or not isinstance(read, Signal):
        return call
    return Call({**call.arguments, first: replace(read, mask=mask.value)}, Signal)


def _inside(build: Builder, step: Step) -> Builder:
    name, again = step.layer.name, step.index > 0
    called = f", call {step.index + 1} of {step.calls}" if step.calls > 1 else ""
    place = step.at[1:]
    origin = f'{place} "{name}" ({step.layer.kind}){called}{build.repetition}'
    inner = build.inner(f"{name}[{step.index}]" if again else name, place, origin, owner=name if again else None)
    frozen, settled = build.frozen or not step.layer.trainable, build.settled or step.call.get(SETTLED) is True
    return replace(inner, frozen=frozen, settled=settled)
