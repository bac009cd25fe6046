"""Recurrent layers: they walk through (time, features) and carry a state along."""

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import SEQUENCE, Finite, LayerBase, Shape, Share, Size, bounded, fits
from service.contract.architecture.conv_lstm import ConvLstm2d
from service.contract.architecture.laws import Init, InitSpec
from service.contract.architecture.squash import Squash
from service.contract.problem import Invalid


class RecurrentBase(LayerBase):
    """What recurrent layers share; several layers feed each other's states, as in PyTorch."""

    gates: ClassVar[int]
    """How many matrices a cell has."""

    units: Size
    return_sequences: bool = False
    """Whether the state of every step is passed on, or only the last."""
    bidirectional: bool = False
    """Whether a second cell walks backwards."""
    merge: Literal["concat", "sum", "mul", "ave"] = "concat"
    """What becomes of two directions' states: laid behind each other, added, multiplied or averaged."""
    reverse: bool = False
    """Whether the only cell walks backwards; the state of each step stands where the step does."""
    layers: Annotated[int, Field(ge=1, le=64)] = 1
    dropout: Share = 0.0
    """The share of states that are dropped between layers."""
    bias: bool = True
    init: InitSpec = Init()

    @property
    def directions(self) -> int:
        """How many cells a layer has."""
        return 1 + self.bidirectional

    @property
    def width(self) -> int:
        """How many numbers a step passes on."""
        return self.units * (self.directions if self.merge == "concat" else 1)

    def output(self, shape: Shape, at: str) -> Shape:
        """Return (time, width) or (width); what the gates take at all steps is bounded, too."""
        fits(shape, at, SEQUENCE)
        if self.reverse and self.bidirectional:
            detail = "A bidirectional layer walks backwards already; `reverse` belongs to layers of one direction."
            raise Invalid(detail, pointer=f"{at}/reverse")
        self.init.suits((self.units, shape[-1]), at)
        bounded((shape[0], self.directions * self.gates * self.units), at)
        return (shape[0], self.width) if self.return_sequences else (self.width,)

    def weights(self, shape: Shape) -> int:
        """Return the kernels, the recurrent kernels, and two biases per gate, of all layers."""
        fed = shape[-1] + (self.layers - 1) * self.width
        per_gate = fed + self.layers * (self.units + 2 * self.bias)
        return self.directions * self.gates * self.units * per_gate


class Lstm(RecurrentBase):
    """Long short-term memory."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "lstm", "units": 32, "forget_bias": 1}]})

    gates: ClassVar[int] = 4

    kind: Literal["lstm"]
    activation: Squash = "tanh"
    """Of what is written to the memory, and of what is shown of it."""
    recurrent_activation: Squash = "sigmoid"
    """Of the gates."""
    forget_bias: Finite | None = None
    """Added to the forget gate's bias where it starts; 1 keeps the memory, as `keras_default` has it."""


class Gru(RecurrentBase):
    """Gated recurrent unit, as in PyTorch and cuDNN unless the reset gate stands before the recurrent product."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "gru", "units": 32}]})

    gates: ClassVar[int] = 3

    kind: Literal["gru"]
    activation: Squash = "tanh"
    """Of the candidate."""
    recurrent_activation: Squash = "sigmoid"
    """Of the gates."""
    update_bias: Finite | None = None
    """Added to the update gate's bias where it starts; ln(T - 1) keeps the state for some T steps."""
    reset_after: bool = True
    """Whether the reset gate multiplies the product of the state and its kernel, or the state before (Cho et al.)."""


class Rnn(RecurrentBase):
    """Elman's network: the state is activation(K x + R state + b)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "rnn", "units": 32, "init": {"recurrent": "orthogonal"}}]}
    )

    gates: ClassVar[int] = 1

    kind: Literal["rnn"]
    activation: Squash = "tanh"


Recurrents: TypeAlias = Rnn | Lstm | Gru | ConvLstm2d
