"""Recurrent layers: they walk through (time, features) and carry a state along."""

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from service.contract.architecture.base import SEQUENCE, Finite, LayerBase, Shape, Size, fits
from service.contract.architecture.laws import Init, InitSpec

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
"""Matrices per cell."""


class RecurrentBase(LayerBase):
    """What recurrent layers share; several layers feed each other's states, as in PyTorch."""

    units: Size
    return_sequences: bool = False
    """Whether the state of every step is passed on, or only the last."""
    bidirectional: bool = False
    """Whether a second cell walks backwards; its states stand behind the first one's."""
    layers: Annotated[int, Field(ge=1, le=64)] = 1
    bias: bool = True
    init: InitSpec = Init()

    @property
    def gates(self) -> int:
        """How many matrices a cell has."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """How many numbers a step's state has in both directions."""
        return self.units * (1 + self.bidirectional)

    def output(self, shape: Shape, at: str) -> Shape:
        """Return (time, width) or (width)."""
        fits(shape, at, SEQUENCE)
        return (shape[0], self.width) if self.return_sequences else (self.width,)

    def weights(self, shape: Shape) -> int:
        """Return the kernels, the recurrent kernels, and two biases per gate, of all layers."""
        fed = shape[-1] + (self.layers - 1) * self.width
        per_gate = fed + self.layers * (self.units + 2 * self.bias)
        return self.gates * self.width * per_gate


class Lstm(RecurrentBase):
    """Long short-term memory."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "lstm", "units": 32, "forget_bias": 1}]})

    kind: Literal["lstm"]
    forget_bias: Finite = 0.0
    """Added to the forget gate's bias where it starts; 1 keeps the memory."""

    @property
    def gates(self) -> int:
        """Four: input, output, forget, cell."""
        return GATES["lstm"]


class Gru(RecurrentBase):
    """Gated recurrent unit, with the reset gate after the recurrent product, as in PyTorch and cuDNN."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "gru", "units": 32}]})

    kind: Literal["gru"]

    @property
    def gates(self) -> int:
        """Three: update, reset, new."""
        return GATES["gru"]


class Rnn(RecurrentBase):
    """Elman's network: the state is activation(K x + R state + b)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "rnn", "units": 32, "init": {"recurrent": "orthogonal"}}]}
    )

    kind: Literal["rnn"]
    activation: Literal["tanh", "relu"] = "tanh"

    @property
    def gates(self) -> int:
        """One."""
        return GATES["rnn"]


Recurrents: TypeAlias = Rnn | Lstm | Gru
