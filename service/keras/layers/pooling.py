"""Pooling: with windows, to a wanted size, and of everything."""

from typing import ClassVar, Final

from pydantic import ValidationError

from service.contract.problem import Invalid
from service.keras.base import KerasLayer, Shape, known, ranked
from service.keras.layers import keras
from service.keras.sliding import Sizes, Spatial, Window


class Pooling(Window):
    """The largest number or the mean of each window; padding never counts."""

    pool_size: Sizes = 2
    strides: Sizes | None = None

    @property
    def window(self) -> tuple[int, ...]:
        """The pool's size, per axis."""
        return self.each(self.pool_size)

    @property
    def steps(self) -> tuple[int, ...]:
        """The strides; the pool's size by default."""
        return self.each(self.strides or self.pool_size)

    def output(self, shape: Shape, at: str) -> Shape:
        """Slide along the inner axes."""
        return self.with_sizes(shape, self.slid(shape, at))


@keras("MaxPooling1D", "AveragePooling1D")
class Pooling1D(Pooling):
    """Pools steps."""

    axes: ClassVar[int] = 1


@keras("MaxPooling2D", "AveragePooling2D")
class Pooling2D(Pooling):
    """Pools images."""

    axes: ClassVar[int] = 2


@keras("MaxPooling3D", "AveragePooling3D")
class Pooling3D(Pooling):
    """Pools volumes."""

    axes: ClassVar[int] = 3


_BY_AXES: Final = (Pooling1D, Pooling2D, Pooling3D)


@keras("ops.MaxPool", "ops.AveragePool")
class Pool(KerasLayer):
    """A function of keras.ops: a pooling layer whose number of axes follows from what it is called with."""

    pool_size: Sizes
    strides: Sizes | None = None
    padding: str = "valid"
    data_format: str | None = None

    def pooling(self, shape: Shape, at: str) -> Pooling:
        """Return the layer; Invalid where its config does not fit."""
        ranked(shape, at, 3, 4, 5)
        kind = _BY_AXES[len(shape) - 2]
        try:
            return kind.model_validate_json(self.model_dump_json(), strict=True)
        except ValidationError as error:
            details = error.errors(include_url=False)[0]
            detail = f"{details['msg']}."
            raise Invalid(detail, pointer=f"{at}/config/{details['loc'][0]}") from None

    def output(self, shape: Shape, at: str) -> Shape:
        """Slide along the inner axes."""
        return self.pooling(shape, at).output(shape, at)


class Adaptive(Spatial):
    """The mean or the largest number of as many windows as are wanted, which share an axis evenly."""

    output_size: Sizes

    def sizes(self) -> tuple[int, ...]:
        """Return how many windows there are, per axis."""
        return self.each(self.output_size)

    def output(self, shape: Shape, at: str) -> Shape:
        """Return the wanted sizes; Invalid where the file leaves those before open."""
        ranked(shape, at, self.axes + 2)
        for size in self.inside(shape):
            known(size, at, "size that is pooled")
        return self.with_sizes(shape, self.sizes())


@keras("AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D")
class Adaptive1D(Adaptive):
    """Pools steps to a wanted number."""

    axes: ClassVar[int] = 1


@keras("AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D")
class Adaptive2D(Adaptive):
    """Pools images to a wanted height and width."""

    axes: ClassVar[int] = 2


@keras("AdaptiveAveragePooling3D", "AdaptiveMaxPooling3D")
class Adaptive3D(Adaptive):
    """Pools volumes to a wanted depth, height and width."""

    axes: ClassVar[int] = 3


class Global(Spatial):
    """The mean or the largest number of each channel."""

    keepdims: bool = False

    def output(self, shape: Shape, at: str) -> Shape:
        """Return (channels), or inner sizes of 1."""
        ranked(shape, at, self.axes + 2)
        return self.with_sizes(shape, (1,) * self.axes if self.keepdims else ())


@keras("GlobalAveragePooling1D", "GlobalMaxPooling1D")
class Global1D(Global):
    """Pools all steps; a mean is that of the steps that no mask leaves out."""

    axes: ClassVar[int] = 1


@keras("GlobalAveragePooling2D", "GlobalMaxPooling2D")
class Global2D(Global):
    """Pools whole images."""

    axes: ClassVar[int] = 2


@keras("GlobalAveragePooling3D", "GlobalMaxPooling3D")
class Global3D(Global):
    """Pools whole volumes."""

    axes: ClassVar[int] = 3
