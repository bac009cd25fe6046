"""Recurrent cells: what a recurrent layer does at one step."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.activations import Activation, activation
from service.keras.base import Call, Inners, KerasLayer, Shape, Spec, known, ranked, shown
from service.keras.layers import keras

Share = Annotated[float, Field(ge=0, le=1)]
FUNCTIONS: Final = frozenset({
    "elu", "hard_sigmoid", "leaky_relu", "linear", "relu", "sigmoid", "softplus", "softsign", "tanh",
})  # fmt: skip
"""Activations that ONNX's recurrent operators know."""


class Gates(KerasLayer):
    """What every recurrent layer's config says of its gates and their weights."""

    gates: ClassVar[int] = 1

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
    def biases(self) -> int:
        """How many biases each gate has."""
        return int(self.use_bias)

    def notes(self) -> Iterator[str]:
        """Yield that recurrent dropout is left out."""
        if self.recurrent_dropout:
            yield "recurrent_dropout is not applied while training is tried; dropout is."


class CellBase(Gates):
    """What a cell does at one step; as a layer by itself, it does that step."""

    parameters: ClassVar[tuple[str, ...]] = ("inputs", "states", "training")
    states: ClassVar[int] = 1
    """How many states it hands on."""

    units: Annotated[int, Field(ge=1, le=65_536)]

    @property
    def functions(self) -> dict[str, Spec]:
        """The cell's activations, by field, in the order in which ONNX names them."""
        return {"activation": self.activation}

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Return the shapes of the output and of the states; Invalid where the cell's states do not reach it."""
        ranked(call.one.shape, at, 2)
        known(call.one.shape[-1], at, "last axis of the input")
        self.possible(at)
        starting(call.of("states"), ((self.units,),) * self.states, at, needed=True)
        return ((self.units,),) * (1 + self.states)

    def weights(self, shape: Shape) -> int:
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
            yield f"/config/cells/{index}", each


def stacked(layer: KerasLayer, at: str) -> Iterator[tuple[KerasLayer, str]]:
    """Yield the cells of a stack, or the only one, each with its place."""
    if not isinstance(layer, StackedCells):
        yield layer, at
        return
    for index, each in enumerate(layer.cells):
        yield from stacked(each, f"{at}/config/cells/{index}")


def starting(states: tuple[Any, ...], shapes: tuple[Shape, ...], at: str, *, needed: bool = False) -> None:
    """Pass initial states of these shapes, or none unless they are needed; Invalid otherwise."""
    if (states or needed) and tuple(each.shape for each in states) != shapes:
        wanted = ", ".join(map(shown, shapes))
        reached = ", ".join(shown(each.shape) for each in states) or "none"
        detail = f"The layer starts from states of {wanted}; {reached} reach it."
        raise Invalid(detail, pointer=at)
