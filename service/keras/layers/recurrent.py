"""Recurrent layers and their cells."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from pydantic import Field

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.activations import Activation, activation
from service.keras.base import Call, Inner, Inners, KerasLayer, Shape, Spec, bounded, known, ranked, shown
from service.keras.layers import keras

Share = Annotated[float, Field(ge=0, le=1)]
FUNCTIONS: Final = frozenset({
    "elu", "hard_sigmoid", "leaky_relu", "linear", "relu", "sigmoid", "softplus", "softsign", "tanh",
})  # fmt: skip
"""Activations that ONNX's recurrent operators know."""


class CellBase(KerasLayer):
    """What a cell does at one step; as a layer by itself, it does that step."""

    parameters: ClassVar[tuple[str, ...]] = ("inputs", "states", "training")
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    """How many states it hands on."""

    units: Annotated[int, Field(ge=1, le=65_536)]
    activation: Spec = "tanh"
    use_bias: bool = True
    kernel_initializer: Spec = "glorot_uniform"
    recurrent_initializer: Spec = "orthogonal"
    bias_initializer: Spec = "zeros"
    kernel_regularizer: Spec = None
    recurrent_regularizer: Spec = None
    bias_regularizer: Spec = None
    dropout: Share = 0.0
    recurrent_dropout: Share = 0.0
    implementation: int = 2

    @property
    def functions(self) -> dict[str, Spec]:
        """The cell's activations, by field, in the order in which ONNX names them."""
        return {"activation": self.activation}

    @property
    def biases(self) -> int:
        """How many biases each gate has."""
        return int(self.use_bias)

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shapes of the output and of the states; Invalid where the cell's states do not reach it."""
        ranked(call.one.shape, at, 2)
        known(call.one.shape[-1], at, "last axis of the input")
        self.possible(at)
        starting(call.of("states"), ((self.units,),) * self.states, at, needed=True)
        return ((self.units,),) * (1 + self.states)

    def held(self, shape: Shape) -> int:
        """Return the kernel's, the recurrent kernel's and the biases' numbers."""
        return self.gates * self.units * ((shape[-1] or 0) + self.units + self.biases)

    @property
    def fused(self) -> bool:
        """Whether ONNX's recurrent operators know all of the cell's functions."""
        return all(_known(activation(spec, "")) for spec in self.functions.values())

    def possible(self, at: str) -> None:
        """Pass a cell that can be examined; UnsupportedModel, pointing at the field, otherwise."""
        for key, spec in self.functions.items():
            found = activation(spec, f"{at}/config/{key}")
            if found.name == "glu" or found.numbers.get("axis", -1) not in {1, -1}:
                detail = f"The activation {found.name!r} is not examined within a recurrent cell."
                raise UnsupportedModel(detail, pointer=f"{at}/config/{key}")

    def notes(self) -> Iterator[str]:
        """Yield that recurrent dropout is left out."""
        if self.recurrent_dropout:
            yield "recurrent_dropout is not applied while training is tried; dropout is."


def _known(found: Activation) -> bool:
    """Whether ONNX's recurrent operators have a function: a rectifier must be bent at zero and unlimited."""
    bent = any(found.numbers.get(key) for key in ("max_value", "negative_slope", "threshold"))
    return found.name in FUNCTIONS and not (found.name == "relu" and bent)


class GatedCell(CellBase):
    """A cell with gates."""

    recurrent_activation: Spec = "sigmoid"

    @property
    def functions(self) -> dict[str, Spec]:
        """The gates' activation, then the candidate's."""
        return {"recurrent_activation": self.recurrent_activation, "activation": self.activation}


@keras("SimpleRNNCell")
class SimpleCell(CellBase):
    """h ← activation(x K + h R + b)."""


@keras("LSTMCell")
class LstmCell(GatedCell):
    """Long short-term memory; its gates are input, forget, cell, output."""

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    unit_forget_bias: bool = True


@keras("GRUCell")
class GruCell(GatedCell):
    """Gated recurrent unit; its gates are update, reset, candidate."""

    gates: ClassVar[int] = 3

    reset_after: bool = True

    @property
    def biases(self) -> int:
        """How many biases each gate has: a second one where the reset gate stands behind the recurrent product."""
        return self.use_bias * (1 + self.reset_after)


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


def starting(states: tuple[Any, ...], shapes: tuple[Shape, ...], at: str, *, needed: bool = False) -> None:
    """Pass initial states of these shapes, or none unless they are needed; Invalid otherwise."""
    if (states or needed) and tuple(each.shape for each in states) != shapes:
        wanted = ", ".join(map(shown, shapes))
        reached = ", ".join(shown(each.shape) for each in states) or "none"
        detail = f"The layer starts from states of {wanted}; {reached} reach it."
        raise Invalid(detail, pointer=at)


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

    def weights(self, call: Call[Any]) -> int:
        """Return the cells' weights."""
        return self.held(walk(call, "").sequence.shape)

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

    def held(self, shape: Shape) -> int:
        """Return the cells' weights."""
        total, features = 0, shape[-1]
        for cell, _ in self.cells:
            total += CellBase.held(cell, (features,))
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


@keras("StackedRNNCells")
class StackedCells(KerasLayer):
    """Several cells, each fed by the one before it."""

    cells: Inners

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:  # noqa: ARG002  every layer is asked alike
        """Refuse: a stack of cells works within an RNN."""
        detail = "StackedRNNCells are examined within an RNN; this is called by itself."
        raise UnsupportedModel(detail, pointer=at)

    def inner(self) -> Iterator[tuple[str, KerasLayer]]:
        """Yield the cells."""
        for index, each in enumerate(self.cells):
            yield f"/config/cells/{index}", each.layer


@keras("RNN")
class Rnn(RecurrentBase):
    """A recurrent layer of any cell."""

    cell: Inner

    @property
    def cells(self) -> tuple[tuple[CellBase, str], ...]:
        """The cell, or those of a stack, stacks within it included."""
        return tuple((each, at) for each, at in _stacked(self.cell.layer, "/config/cell") if isinstance(each, CellBase))

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shapes; Invalid where a cell is none."""
        for each, place in _stacked(self.cell.layer, "/config/cell"):
            if not isinstance(each, CellBase) or isinstance(each, RecurrentBase):
                detail = "A cell is expected: SimpleRNNCell, LSTMCell, GRUCell or StackedRNNCells."
                raise Invalid(detail, pointer=f"{at}{place}/class_name")
        return super().outputs(call, at)

    def inner(self) -> Iterator[tuple[str, KerasLayer]]:
        """Yield the cell."""
        yield "/config/cell", self.cell.layer


def _stacked(layer: KerasLayer, at: str) -> Iterator[tuple[KerasLayer, str]]:
    """Yield the cells of a stack, or the only one, each with its place."""
    if not isinstance(layer, StackedCells):
        yield layer, at
        return
    for index, each in enumerate(layer.cells):
        yield from _stacked(each.layer, f"{at}/config/cells/{index}")
