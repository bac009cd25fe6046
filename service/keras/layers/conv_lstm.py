"""Convolutional LSTMs."""

from collections.abc import Iterator
from math import prod
from typing import Annotated, ClassVar

from pydantic import Field

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.activations import activation
from service.keras.base import Shape, Spec, bounded, known, ranked
from service.keras.layers import keras
from service.keras.layers.cells import Share
from service.keras.layers.recurrent import Walking
from service.keras.sliding import Size, Sizes, Window


class ConvLstm(Walking, Window):
    """An LSTM whose products are convolutions; its gates are input, forget, cell, output."""

    gates: ClassVar[int] = 4

    filters: Size
    kernel_size: Sizes
    strides: Sizes = 1
    dilation_rate: Sizes = 1
    activation: Spec = "tanh"
    recurrent_activation: Spec = "sigmoid"
    use_bias: bool = True
    unit_forget_bias: bool = True
    kernel_initializer: Spec = "glorot_uniform"
    recurrent_initializer: Spec = "orthogonal"
    bias_initializer: Spec = "zeros"
    kernel_regularizer: Spec = None
    recurrent_regularizer: Spec = None
    bias_regularizer: Spec = None
    dropout: Share = 0.0
    recurrent_dropout: Share = 0.0
    implementation: Annotated[int, Field(ge=0, le=2)] = 2

    @property
    def window(self) -> tuple[int, ...]:
        """The kernel's size, per axis."""
        return self.each(self.kernel_size)

    @property
    def steps(self) -> tuple[int, ...]:
        """The strides of the convolution of the input; that of the state has none."""
        return self.each(self.strides)

    @property
    def gaps(self) -> tuple[int, ...]:
        """The dilation of the convolution of the input; that of the state has none."""
        return self.each(self.dilation_rate)

    @property
    def biases(self) -> int:
        """How many biases each gate has."""
        return int(self.use_bias)

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

    def held(self, shape: Shape) -> int:
        """Return the numbers of both kernels and of the biases."""
        fed = prod(self.window) * (self.channels(shape[1:]) + self.filters)
        return self.gates * self.filters * (fed + self.biases)

    def notes(self) -> Iterator[str]:
        """Yield what is left out."""
        yield from Walking.notes(self)
        if self.recurrent_dropout:
            yield "recurrent_dropout is not applied while training is tried; dropout is."


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
