"""Layers that apply another along time: Bidirectional and TimeDistributed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple

from service.contract.problem import Invalid
from service.keras.base import Call, Inner, KerasLayer, Shape, shown
from service.keras.layers import keras
from service.keras.layers.recurrent import Walking, walk


class Way(NamedTuple):
    """One of two directions."""

    layer: Walking
    place: str
    """Where its config stands, below the place of the layer that holds it."""
    call: Call[Any]


@keras("Bidirectional")
class Bidirectional(KerasLayer):
    """Two recurrent layers, one of which walks backwards, and their outputs merged."""

    parameters: ClassVar[tuple[str, ...]] = ("sequences", "initial_state", "mask", "training")

    layer: Inner
    backward_layer: Inner | None = None
    """The other one; the first, turned round, where the file names none."""
    merge_mode: Literal["sum", "mul", "ave", "concat"] | None = "concat"

    def ways(self, call: Call[Any], at: str) -> tuple[Way, Way]:
        """Return both layers with what each is called with; Invalid where they do not fit each other."""
        first = _recurrent(self.layer, f"{at}/config/layer")
        second = _recurrent(self.backward_layer or self.layer, f"{at}/config/backward_layer")
        if self.backward_layer is None:
            name = f"backward_{first.name.removeprefix('backward_')}"
            second = second.model_copy(update={"go_backwards": not first.go_backwards, "name": name})
        _fitting(first, second, f"{at}/config/backward_layer")
        parts = walk(call, at)
        if len(parts.states) % 2:
            detail = f"Half of the states are for each direction; {len(parts.states)} reach the layer."
            raise Invalid(detail, pointer=at)
        half = len(parts.states) // 2

        def called(states: tuple[Any, ...]) -> Call[Any]:
            given = {"sequences": parts.sequence, "initial_state": list(states), "mask": parts.mask}
            return Call(given, call.kind)

        ahead = {
            "zero_output_for_mask": first.return_sequences,
            "name": f"forward_{first.name.removeprefix('forward_')}",
        }
        back = {"zero_output_for_mask": first.return_sequences}
        return (
            Way(first.model_copy(update=ahead), "config/layer", called(parts.states[:half])),
            Way(
                second.model_copy(update=back),
                "config/backward_layer" if self.backward_layer else "config/layer",
                called(parts.states[half:]),
            ),
        )

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shape of the merged outputs (of both, where nothing merges them), and of all states."""
        ways = self.ways(call, at)
        (one, *states), (two, *others) = (way.layer.outputs(way.call, f"{at}/{way.place}") for way in ways)
        if self.merge_mode is None:
            return (one, two, *states, *others)
        concat = self.merge_mode == "concat"
        if one[:-1] != two[:-1] or (one != two and not concat):
            detail = f"The directions give {shown(one)} and {shown(two)}, which {self.merge_mode!r} cannot merge."
            raise Invalid(detail, pointer=f"{at}/config/backward_layer")
        return ((*one[:-1], (one[-1] or 0) + (two[-1] or 0)) if concat else one, *states, *others)

    def held(self, call: Call[Any]) -> int:
        """Return both layers' weights."""
        return sum(way.layer.held(way.call) for way in self.ways(call, ""))

    def inner(self) -> Iterator[tuple[str, KerasLayer]]:
        """Yield the layers."""
        yield "/config/layer", self.layer
        if self.backward_layer is not None:
            yield "/config/backward_layer", self.backward_layer


def _recurrent(layer: KerasLayer, at: str) -> Walking:
    if isinstance(layer, Walking):
        return layer
    detail = "A recurrent layer is expected: SimpleRNN, LSTM, GRU, RNN or ConvLSTM."
    raise Invalid(detail, pointer=f"{at}/class_name")


def _fitting(first: Walking, second: Walking, at: str) -> None:
    """Pass two directions that can be merged; Invalid otherwise."""
    if first.go_backwards == second.go_backwards:
        detail = f"Both layers have go_backwards = {first.go_backwards}; one of them walks backwards."
        raise Invalid(detail, pointer=f"{at}/config/go_backwards")
    for key in ("return_sequences", "return_state", "stateful"):
        if getattr(first, key) != getattr(second, key):
            detail = f"{key} is {getattr(first, key)} in one direction and {getattr(second, key)} in the other."
            raise Invalid(detail, pointer=f"{at}/config/{key}")


@keras("TimeDistributed")
class TimeDistributed(KerasLayer):
    """Applies a layer to every time step."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"
    parameters: ClassVar[tuple[str, ...]] = ("inputs", "training", "mask")

    layer: Inner

    def step(self, call: Call[Any]) -> Call[Any]:
        """Return what the layer inside is called with: a step, without a mask."""
        first = call.one
        unmasked = {"mask": None} if hasattr(first, "mask") else {}
        inside = replace(first, shape=first.shape[1:], **unmasked)
        return Call({self.layer.parameters[0]: inside}, call.kind)

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shapes that a step gives, with the time before them."""
        shape = call.one.shape
        if len(shape) < 2:  # noqa: PLR2004  the time, and what a step holds
            detail = (
                f"The layer takes 3 axes or more, the batch's included; what reaches it has the shape {shown(shape)}."
            )
            raise Invalid(detail, pointer=at)
        return tuple((shape[0], *each) for each in self.layer.outputs(self.step(call), f"{at}/config/layer"))

    def held(self, call: Call[Any]) -> int:
        """Return the weights of the layer inside."""
        return self.layer.held(self.step(call))

    def inner(self) -> Iterator[tuple[str, KerasLayer]]:
        """Yield the layer inside."""
        yield "/config/layer", self.layer
