"""Convolutional LSTMs: they walk through images over time (time, channels, height, width)."""

from math import prod
from typing import ClassVar, Literal

from pydantic import ConfigDict

from service.contract.architecture.base import VOLUME, Finite, Shape, Size, bounded
from service.contract.architecture.laws import Init, InitSpec
from service.contract.architecture.squash import Squash
from service.contract.architecture.window import Padding2d, Pair, Window
from service.contract.problem import Invalid


class ConvLstm2d(Window):
    """An LSTM whose products are convolutions; it reads (time, channels, height, width).

    Strides and padding are the input's; the state's convolution keeps its size.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "conv_lstm2d", "filters": 8, "kernel": 3, "padding": "same"}],
            "x-reads": [[4, 2, 6, 5]],
        }
    )
    axes: ClassVar[int] = 2
    gates: ClassVar[int] = 4

    kind: Literal["conv_lstm2d"]
    filters: Size
    kernel: Pair
    stride: Pair = 1
    padding: Padding2d = "valid"
    return_sequences: bool = False
    """Whether the state of every step is passed on, or only the last."""
    activation: Squash = "tanh"
    """Of what is written to the memory, and of what is shown of it."""
    recurrent_activation: Squash = "sigmoid"
    """Of the gates."""
    bias: bool = True
    forget_bias: Finite | None = None
    """Added to the forget gate's bias where it starts; 1 keeps the memory, as `keras_default` has it."""
    init: InitSpec = Init()

    def output(self, shape: Shape, at: str) -> Shape:
        """Return (time, filters, height, width), or one step of it; what the gates take is bounded, too."""
        if len(shape) != VOLUME:
            detail = f"The layer takes (time, channels, height, width); what reaches it has the shape {list(shape)}."
            raise Invalid(detail, pointer=at)
        self.init.suits((self.filters, shape[1], *self.kernels), at)
        sizes = self.slid(shape[1:], at)
        bounded((shape[0], self.gates * self.filters, *sizes), at)
        return (shape[0], self.filters, *sizes) if self.return_sequences else (self.filters, *sizes)

    def weights(self, shape: Shape) -> int:
        """Return both kernels and a bias per gate and filter."""
        return self.gates * self.filters * (prod(self.kernels) * (shape[1] + self.filters) + self.bias)
