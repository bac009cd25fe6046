"""Layers before a model: rescaling, normalization by numbers that the file holds, and augmentation."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator

from service.contract.problem import Invalid, UnsupportedModel
from service.keras.axes import inner_axis
from service.keras.base import KerasLayer, Shape, known, shown
from service.keras.layers import keras
from service.keras.operations import constant


def _bare(given: Any) -> Any:  # noqa: ANN401  what the file holds
    """Return the numbers of an array, which Keras 3 wraps in an object."""
    config = given.get("config") if isinstance(given, dict) else None
    return config.get("value") if isinstance(config, dict) else given


Numbers = Annotated[Any, BeforeValidator(_bare)]


@keras("Rescaling")
class Rescaling(KerasLayer):
    """x · scale + offset; lists lie along the last axes."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"

    scale: Numbers
    offset: Numbers = 0.0

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape, to which the numbers must be stretched."""
        for key in ("scale", "offset"):
            sizes = constant(getattr(self, key), f"{at}/config/{key}")
            behind = shape[len(shape) - len(sizes) :]
            if len(sizes) > len(shape) or any(one not in {1, other} for one, other in zip(sizes, behind, strict=True)):
                detail = f"Numbers of the shape {list(sizes)} cannot be stretched to {shown(shape)}."
                raise Invalid(detail, pointer=f"{at}/config/{key}")
        return shape


@keras("Normalization")
class Normalization(KerasLayer):
    """(x - mean) / √variance along axes, with numbers that the file holds, or, as if adapted to it, the batch's."""

    masking: ClassVar[Literal["passes", "stops"]] = "passes"

    axis: int | list[int] | None = -1
    mean: Numbers = None
    variance: Numbers = None
    invert: bool = False

    def output(self, shape: Shape, at: str) -> Shape:
        """Leave the shape; Invalid where the numbers do not fit, UnsupportedModel where what undoes them is unknown."""
        kept = self.kept(shape, at)
        if self.adapted:
            if self.invert:
                detail = f"What {self.name!r} undoes is not in the file: give it mean and variance as arguments."
                raise UnsupportedModel(detail, pointer=f"{at}/config/mean")
            return shape
        for key in ("mean", "variance"):
            sizes = constant(getattr(self, key), f"{at}/config/{key}")
            wanted = tuple(known(shape[axis - 1], at, "size that is normalized along") for axis in kept)
            behind = wanted[len(wanted) - len(sizes) :]
            if len(sizes) > len(wanted) or any(one not in {1, other} for one, other in zip(sizes, behind, strict=True)):
                detail = f"Numbers of the shape {list(sizes)} do not lie along the axes {list(kept)} of {shown(shape)}."
                raise Invalid(detail, pointer=f"{at}/config/{key}")
        return shape

    @property
    def adapted(self) -> bool:
        """Whether the numbers are not in the file: adapt() keeps them among the weights."""
        return self.mean is None or self.variance is None

    def notes(self) -> Iterator[str]:
        """Say what stands in for numbers that the file does not hold."""
        if self.adapted:
            yield (
                f"The mean and variance of {self.name!r} are not in the file, as adapt() keeps them among the weights; "
                "it is examined as if adapted to the batch."
            )

    def kept(self, shape: Shape, at: str = "") -> tuple[int, ...]:
        """Return the axes along which there are numbers, the batch's being 0."""
        listed = [self.axis] if isinstance(self.axis, int) else self.axis or []
        return tuple(sorted(inner_axis(axis, shape, f"{at}/config/axis") for axis in listed))

    def laid(self, sizes: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
        """Return the shape in which numbers of these sizes are stretched to the input, the batch's axis included."""
        found, kept = [1] * (len(shape) + 1), self.kept(shape)
        for axis, size in zip(kept[len(kept) - len(sizes) :], sizes, strict=True):
            found[axis] = size
        return tuple(found)


AUGMENTATIONS: Final = (
    "AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale",
    "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom",
)  # fmt: skip
"""Layers that change images at random in training."""


@keras(*AUGMENTATIONS)
class Augmentation(KerasLayer):
    """Changes images at random in training; passes them on in evaluation, and here."""

    ignored: ClassVar[frozenset[str]] = frozenset({
        "all_ops", "alpha", "brightness_factor", "chain_depth", "contrast_factor", "data_format", "factor",
        "fill_mode", "fill_value", "height_factor", "hue_factor", "interpolation", "kernel_size", "mode", "num_chains",
        "num_ops", "saturation_factor", "scale", "sigma", "value_range", "width_factor", "x_factor", "y_factor",
    })  # fmt: skip

    def notes(self) -> Iterator[str]:
        """Yield that the layer is left out."""
        yield f"The augmentation {self.name!r} ({self.kind}) is left out: inputs pass it as they are."
