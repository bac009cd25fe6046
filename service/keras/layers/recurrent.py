"""Recurrent layers."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.base import Call, Inner, KerasLayer, Shape, bounded, known, ranked, shown
from service.keras.layers import keras
from service.keras.layers.cells import CellBase, GruCell, LstmCell, SimpleCell, stacked, starting


class Walk(NamedTuple):
    """What a recurrent layer is called with."""

    sequence: Any
    states: tuple[Any, ...]
    """The states that it starts from; none where it starts from zeros."""
    mask: Any
    """The mask that the call names; None where it names none."""


def walk(call: Call[Any], at: str) -> Walk:
    """Return the parts of a recurrent layer's call; tf.keras 2 hands states over behind the sequence, in a list."""
    if call.of("constants"):
        detail = "Constants of a recurrent layer are not examined; export the model to ONNX."
        raise UnsupportedModel(detail, pointer=at)
    sequences = call.of("sequences")
    if not sequences:
        detail = "The layer is called without a sequence."
        raise Invalid(detail, pointer=at)
    sequence, *states = sequences
    return Walk(sequence, (*states, *call.of("initial_state")), next(iter(call.of("mask")), None))


class Walking(KerasLayer):
    """A layer that walks through time with a state."""

    parameters: ClassVar[tuple[str, ...]] = ("sequences", "initial_state", "mask", "training")
    ignored: ClassVar[frozenset[str]] = frozenset({"use_cudnn"})

    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False
    time_major: bool = False

    def sizes(self, shape: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the states, the output's first, for a sequence of this shape."""
        raise NotImplementedError

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shape of the steps' outputs or the last, and of the states where they are given."""
        parts = walk(call, at)
        if self.time_major:
            detail = "time_major puts the time before the samples, which is not examined."
            raise UnsupportedModel(detail, pointer=f"{at}/config/time_major")
        self.fitting(parts.sequence.shape, at)
        states = self.sizes(parts.sequence.shape)
        starting(parts.states, states, at)
        if parts.mask is not None and len(parts.mask.shape) != 1:
            detail = f"A mask is (None, time); it is {shown(parts.mask.shape)}."
            raise Invalid(detail, pointer=at)
        last = self.last(states)
        return ((parts.sequence.shape[0], *last) if self.return_sequences else last, *(states * self.return_state))

    def last(self, states: tuple[Shape, ...]) -> Shape:
        """Return the shape of a step's output."""
        return states[0]

    def fitting(self, shape: Shape, at: str) -> None:
        """Pass sequences that the layer can read; Invalid otherwise."""

    def held(self, call: Call[Any]) -> int:
        """Return the cells' weights."""
        return self.weights(walk(call, "").sequence.shape)

    def notes(self) -> Iterator[str]:
        """Yield that states start from zeros."""
        if self.stateful:
            yield "Stateful layers start from zeros in every batch."


class RecurrentBase(Walking):
    """A layer that walks through (time, features) with one cell, or several on top of each other."""

    @property
    def cells(self) -> tuple[tuple[CellBase, str], ...]:
        """The cells, from the first to the last, each with its place below the layer's own."""
        raise NotImplementedError

    def sizes(self, shape: Shape) -> tuple[Shape, ...]:  # noqa: ARG002  units alone decide
        """Return the shapes of the cells' states."""
        return tuple((cell.units,) for cell, _ in self.cells for _ in range(cell.states))

    def last(self, states: tuple[Shape, ...]) -> Shape:  # noqa: ARG002  the last cell's output, which is its first state
        """Return the shape of the last cell's output."""
        return (self.cells[-1][0].units,)

    def fitting(self, shape: Shape, at: str) -> None:
        """Pass (time, features) and cells that can be examined."""
        ranked(shape, at, 3)
        known(shape[-1], at, "last axis of the input")
        for cell, place in self.cells:
            cell.possible(f"{at}{place}")
            bounded((shape[0], cell.gates * cell.units), f"{at}{place}")

    def weights(self, shape: Shape) -> int:
        """Return the cells' weights."""
        total, features = 0, shape[-1]
        for cell, _ in self.cells:
            total += CellBase.weights(cell, (features,))
            features = cell.units
        return total


class OneCell(RecurrentBase, CellBase):
    """A recurrent layer that is its own cell."""

    @property
    def cells(self) -> tuple[tuple[CellBase, str], ...]:
        """The layer."""
        return ((self, ""),)

    def notes(self) -> Iterator[str]:
        """Yield what is left out."""
        yield from Walking.notes(self)
        yield from CellBase.notes(self)


@keras("SimpleRNN")
class SimpleRnn(OneCell, SimpleCell):
    """Elman's network."""


@keras("LSTM")
class Lstm(OneCell, LstmCell):
    """Long short-term memory."""


@keras("GRU")
class Gru(OneCell, GruCell):
    """Gated recurrent units."""


@keras("RNN")
class Rnn(RecurrentBase):
    """A recurrent layer of any cell."""

    cell: Inner

    @property
    def cells(self) -> tuple[tuple[CellBase, str], ...]:
        """The cell, or those of a stack, stacks within it included."""
        return tuple((each, at) for each, at in stacked(self.cell, "/config/cell") if isinstance(each, CellBase))

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shapes; Invalid where a cell is none."""
        for each, place in stacked(self.cell, "/config/cell"):
            if not isinstance(each, CellBase) or isinstance(each, RecurrentBase):
                detail = "A cell is expected: SimpleRNNCell, LSTMCell, GRUCell or StackedRNNCells."
                raise Invalid(detail, pointer=f"{at}{place}/class_name")
        return super().outputs(call, at)

    def inner(self) -> Iterator[tuple[str, KerasLayer]]:
        """Yield the cell."""
        yield "/config/cell", self.cell
