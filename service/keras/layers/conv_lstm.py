"""Convolutional LSTMs."""

from collections.abc import Iterator
from math import prod
from typing import ClassVar

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.activations import activation
from service.keras.base import Shape, Spec, bounded, known, ranked
from service.keras.layers import keras
from service.keras.layers.cells import Gates
from service.keras.layers.recurrent import Walking
from service.keras.sliding import Filtering, Size


class ConvLstm(Walking, Gates, Filtering):
    """An LSTM whose products are convolutions; its gates are input, forget, cell, output.

    Strides, padding and dilation are those of the input's convolution; the state's has none.
    """

    gates: ClassVar[int] = 4

    filters: Size
    recurrent_activation: Spec = "sigmoid"
    unit_forget_bias: bool = True

    def sizes(self, shape: Shape) -> tuple[Shape, ...]:
        """Return the shapes of both states."""
        return (self.laid(self.slid(shape[1:], ""), self.filters),) * 2

    def fitting(self, shape: Shape, at: str) -> None:
        """Pass (time, sizes…, channels) whose sizes are known, and functions of each number on its own."""
        ranked(shape, at, self.axes + 3)
        for size in shape[1:]:
            known(size, at, "sizes of images")
        bounded((shape[0], *self.laid(self.slid(shape[1:], at), self.gates * self.filters)), at)
        if max(self.steps) > 1 and max(self.gaps) > 1:
            detail = f"Strides are {list(self.steps)} and dilation is {list(self.gaps)}; Keras takes one or the other."
            raise Invalid(detail, pointer=f"{at}/config/dilation_rate")
        for key in ("activation", "recurrent_activation"):
            found = activation(getattr(self, key), f"{at}/config/{key}")
            if "axis" in found.numbers:
                detail = f"The activation {found.name!r} is not examined within a convolutional LSTM."
                raise UnsupportedModel(detail, pointer=f"{at}/config/{key}")

    def weights(self, shape: Shape) -> int:
        """Return the numbers of both kernels and of the biases."""
        fed = prod(self.window) * (self.channels(shape[1:]) + self.filters)
        return self.gates * self.filters * (fed + self.biases)

    def notes(self) -> Iterator[str]:
        """Yield what is left out."""
        yield from Walking.notes(self)
        yield from Gates.notes(self)


@keras("ConvLSTM1D")
class ConvLstm1D(ConvLstm):
    """A convolutional LSTM of sequences over time."""

    axes: ClassVar[int] = 1


@keras("ConvLSTM2D")
class ConvLstm2D(ConvLstm):
    """A convolutional LSTM of images over time."""

    axes: ClassVar[int] = 2


@keras("ConvLSTM3D")
class ConvLstm3D(ConvLstm):
    """A convolutional LSTM of volumes over time."""

    axes: ClassVar[int] = 3
