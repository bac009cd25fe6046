"""Normalizations."""

from math import prod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from service.contract.problem import Invalid
from service.keras.axes import inner_axes, inner_axis
from service.keras.base import Call, KerasLayer, Shape, Spec, known
from service.keras.layers import keras

Epsilon = Annotated[float, Field(ge=0, le=1e3, allow_inf_nan=False)]
Axes = int | list[int]


class Affine(KerasLayer):
    """A normalization with a learned scale, gamma, and a learned shift, beta."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"

    epsilon: Epsilon = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Spec = "zeros"
    gamma_initializer: Spec = "ones"
    beta_regularizer: Spec = None
    gamma_regularizer: Spec = None

    def learns(self, shape: Shape, at: str = "") -> tuple[int, ...]:
        """Return the shape of gamma and of beta; Invalid where a size is not known."""
        raise NotImplementedError

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have the axes."""
        self.learns(shape, at)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return the numbers of gamma and beta, as far as there are such."""
        return prod(self.learns(shape)) * (self.center + self.scale)


class PerChannel(Affine):
    """A normalization with a scale and a shift for each channel."""

    axis: Axes = -1

    def along(self, shape: Shape, at: str = "") -> int:
        """Return the channels' axis, the batch's being 0; tf.keras 2 writes it as a list."""
        where = f"{at}/config/axis"
        if isinstance(self.axis, list) and len(self.axis) != 1:
            detail = f"One axis is normalized along; the file names {self.axis}."
            raise Invalid(detail, pointer=where)
        return inner_axis(self.axis if isinstance(self.axis, int) else self.axis[0], shape, where)

    def learns(self, shape: Shape, at: str = "") -> tuple[int, ...]:
        """Return (channels)."""
        return (known(shape[self.along(shape, at) - 1], at, "channels that are normalized"),)


@keras("BatchNormalization", "SyncBatchNormalization")
class BatchNormalization(PerChannel):
    """Normalizes each channel over the batch and all other axes; over steps that are masked, it does not."""

    parameters: ClassVar[tuple[str, ...]] = ("inputs", "training", "mask")
    ignored: ClassVar[frozenset[str]] = frozenset(
        {"fused", "renorm_clipping", "renorm_momentum", "synchronized", "virtual_batch_size"}
    )

    momentum: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.99
    moving_mean_initializer: Spec = "zeros"
    moving_variance_initializer: Spec = "ones"

    def outputs(self, call: Call[Any], at: str) -> tuple[Shape, ...]:
        """Leave the shape."""
        return (self.output(call.of("inputs")[0].shape, at),)


@keras("GroupNormalization")
class GroupNormalization(PerChannel):
    """Normalizes each sample over groups of channels and all other axes."""

    groups: int = 32

    def count(self, shape: Shape, at: str = "") -> int:
        """Return how many groups there are; -1 makes each channel one.  Invalid where the channels do not divide."""
        (channels,) = self.learns(shape, at)
        groups = channels if self.groups == -1 else self.groups
        if groups < 1 or channels % groups:
            detail = f"The {channels} channels do not divide into {self.groups} groups."
            raise Invalid(detail, pointer=f"{at}/config/groups")
        return groups

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape; the channels must divide into the groups."""
        self.count(shape, at)
        return shape


class Sample(KerasLayer):
    """A normalization of each sample over some axes."""

    axis: Axes = -1

    def over(self, shape: Shape, at: str = "") -> tuple[int, ...]:
        """Return the axes, the batch's being 0, in order."""
        return inner_axes(self.axis, shape, f"{at}/config/axis")

    def learns(self, shape: Shape, at: str = "") -> tuple[int, ...]:
        """Return the sizes of the axes."""
        return tuple(known(shape[axis - 1], at, "sizes that are normalized") for axis in self.over(shape, at))


@keras("LayerNormalization")
class LayerNormalization(Sample, Affine):
    """Normalizes each sample over some axes; with rms_scaling, it divides by the deviation and leaves the mean."""

    rms_scaling: bool = False

    def weights(self, shape: Shape) -> int:
        """Return the numbers of gamma and beta; with rms_scaling there is gamma alone."""
        if self.rms_scaling:
            return prod(self.learns(shape))
        return super().weights(shape)


@keras("RMSNormalization")
class RMSNormalization(Sample):
    """Divides each sample by its root mean square over some axes."""

    epsilon: Epsilon | None = 1e-6

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have the axes."""
        self.learns(shape, at)
        return shape

    def weights(self, shape: Shape) -> int:
        """Return the numbers of the scale."""
        return prod(self.learns(shape))


@keras("UnitNormalization")
class UnitNormalization(Sample):
    """Divides each sample by its length along some axes."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, which must have the axes."""
        self.over(shape, at)
        return shape
