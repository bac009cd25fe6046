"""Convolutions: plain, transposed, depthwise and separable."""

from math import prod
from typing import ClassVar

from service.contract.problem import Invalid
from service.keras.base import Shape, Spec, bounded, ranked
from service.keras.layers import keras
from service.keras.sliding import Filtering, Size, Sizes


class Filter(Filtering):
    """What all convolutions share."""

    leaps: ClassVar[bool] = True
    """Whether windows may have both strides and dilation."""

    activation: Spec = None
    use_bias: bool = True
    bias_initializer: Spec = "zeros"
    bias_regularizer: Spec = None

    def made(self, shape: Shape) -> int:
        """Return how many channels come out."""
        raise NotImplementedError

    def output(self, shape: Shape, at: str) -> Shape:
        """Exchange the channels, and slide along the inner axes."""
        sizes = self.slid(shape, at)
        self.channels(shape, at)
        if not self.leaps and max(self.steps) > 1 and max(self.gaps) > 1:
            detail = f"Keras has no windows with both strides ({max(self.steps)}) and dilation ({max(self.gaps)})."
            raise Invalid(detail, pointer=f"{at}/config/dilation_rate")
        return self.laid(sizes, self.made(shape))


class Convolution(Filter):
    """A convolution; Keras's kernel has the shape (window…, channels / groups, filters)."""

    leaps: ClassVar[bool] = False

    filters: Size
    groups: Size = 1
    kernel_initializer: Spec = "glorot_uniform"
    kernel_regularizer: Spec = None

    def made(self, shape: Shape) -> int:  # noqa: ARG002  the depthwise ones count them
        """Return the number of filters."""
        return self.filters

    def output(self, shape: Shape, at: str) -> Shape:
        """Exchange the channels, which the groups must divide."""
        after = super().output(shape, at)
        for what, count in (("channels", self.channels(shape)), ("filters", self.filters)):
            if count % self.groups:
                detail = f"The {count} {what} do not divide into {self.groups} groups."
                raise Invalid(detail, pointer=f"{at}/config/groups")
        return after

    def weights(self, shape: Shape) -> int:
        """Return window · channels / groups · filters, and filters for the bias."""
        return (prod(self.window) * self.channels(shape) // self.groups + self.use_bias) * self.filters


@keras("Conv1D")
class Conv1D(Convolution):
    """A convolution over steps; "causal" padding lets no window see the future."""

    axes: ClassVar[int] = 1
    causal: ClassVar[bool] = True


@keras("Conv2D")
class Conv2D(Convolution):
    """A convolution over images."""

    axes: ClassVar[int] = 2


@keras("Conv3D")
class Conv3D(Convolution):
    """A convolution over volumes."""

    axes: ClassVar[int] = 3


class Transposed(Filter):
    """The adjoint of a convolution; Keras's kernel has the shape (window…, filters, channels)."""

    ignored: ClassVar[frozenset[str]] = frozenset({"groups"})
    leaps: ClassVar[bool] = False

    filters: Size
    output_padding: Sizes | None = None
    kernel_initializer: Spec = "glorot_uniform"
    kernel_regularizer: Spec = None

    def made(self, shape: Shape) -> int:  # noqa: ARG002  the depthwise ones count them
        """Return the number of filters."""
        return self.filters

    def cut(self) -> tuple[tuple[int, int], ...]:
        """Return what is cut off before and after each axis of all that the windows reach; negative where added.

        Keras's arithmetic, the same for TensorFlow, JAX and torch: with "valid", nothing is cut, and a stride larger
        than the window is filled up; with "same", size · stride is left, or what `output_padding` says.
        """
        added = (None,) * self.axes if self.output_padding is None else self.each(self.output_padding)
        return tuple(map(self._cut, self.reaches, self.steps, added))

    def _cut(self, reach: int, step: int, added: int | None) -> tuple[int, int]:
        if self.padding == "valid":
            return 0, -(max(step - reach, 0) if added is None else added)
        total = reach - step if added is None else reach - reach % 2 - added
        before = max(total // 2, 0)
        return before, total - before

    def slid(self, shape: Shape, at: str) -> Shape:
        """Return the sizes that come out; Invalid where nothing does, or more is added than a step."""
        ranked(shape, at, self.axes + 2)
        for added, step in zip(self.each(self.output_padding or 0), self.steps, strict=True):
            if added >= step:
                detail = f"The output padding is {added} and the stride {step}; the padding must be smaller."
                raise Invalid(detail, pointer=f"{at}/config/output_padding")
        sizes = zip(self.inside(shape), self.steps, self.reaches, strict=True)
        whole = tuple(size and (size - 1) * step + reach for size, step, reach in sizes)
        bounded(self.laid(whole, self.filters), at)
        after = tuple(size and size - sum(cut) for size, cut in zip(whole, self.cut(), strict=True))
        if any(size is not None and size < 1 for size in after):
            detail = f"The sizes {list(after)} would come out; at least 1 must."
            raise Invalid(detail, pointer=f"{at}/config")
        return after

    def weights(self, shape: Shape) -> int:
        """Return window · filters · channels, and filters for the bias."""
        return (prod(self.window) * self.channels(shape) + self.use_bias) * self.filters


@keras("Conv1DTranspose")
class Conv1DTranspose(Transposed):
    """A transposed convolution over steps."""

    axes: ClassVar[int] = 1


@keras("Conv2DTranspose")
class Conv2DTranspose(Transposed):
    """A transposed convolution over images."""

    axes: ClassVar[int] = 2


@keras("Conv3DTranspose")
class Conv3DTranspose(Transposed):
    """A transposed convolution over volumes."""

    axes: ClassVar[int] = 3


class Depthwise(Filter):
    """A convolution of each channel by itself; Keras's kernel has the shape (window…, channels, multiplier)."""

    ignored: ClassVar[frozenset[str]] = frozenset({"groups", "kernel_initializer", "kernel_regularizer"})
    """What tf.keras 2 writes and does not use."""

    depth_multiplier: Size = 1
    depthwise_initializer: Spec = "glorot_uniform"
    depthwise_regularizer: Spec = None

    def made(self, shape: Shape) -> int:
        """Return channels · multiplier: all that is made of the first channel, then of the second …"""
        return self.channels(shape) * self.depth_multiplier

    def weights(self, shape: Shape) -> int:
        """Return a window and a bias per channel that comes out."""
        return (prod(self.window) + self.use_bias) * self.made(shape)


@keras("DepthwiseConv1D")
class DepthwiseConv1D(Depthwise):
    """A convolution over steps, of each feature by itself."""

    axes: ClassVar[int] = 1


@keras("DepthwiseConv2D")
class DepthwiseConv2D(Depthwise):
    """A convolution over images, of each channel by itself."""

    axes: ClassVar[int] = 2


class Separable(Filter):
    """A depthwise convolution, and a pointwise one with the kernel (1…, channels · multiplier, filters)."""

    ignored: ClassVar[frozenset[str]] = frozenset({"groups", "kernel_initializer", "kernel_regularizer"})
    """What tf.keras 2 writes and does not use."""

    filters: Size
    depth_multiplier: Size = 1
    depthwise_initializer: Spec = "glorot_uniform"
    depthwise_regularizer: Spec = None
    pointwise_initializer: Spec = "glorot_uniform"
    pointwise_regularizer: Spec = None

    def made(self, shape: Shape) -> int:  # noqa: ARG002  the depthwise ones count them
        """Return the number of filters."""
        return self.filters

    def weights(self, shape: Shape) -> int:
        """Return what both kernels and the bias hold."""
        between = self.channels(shape) * self.depth_multiplier
        return prod(self.window) * between + (between + self.use_bias) * self.filters


@keras("SeparableConv1D")
class SeparableConv1D(Separable):
    """A convolution over steps: each feature by itself, then all features of each step."""

    axes: ClassVar[int] = 1
    causal: ClassVar[bool] = True


@keras("SeparableConv2D")
class SeparableConv2D(Separable):
    """A convolution over images: each channel by itself, then all channels of each pixel."""

    axes: ClassVar[int] = 2
