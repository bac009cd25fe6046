"""Weights by the initializers of a config, with the penalties of its regularizers."""

from collections.abc import Sequence

from service.contract.architecture.laws import Along, VarianceScaling
from service.contract.problem import UnsupportedModel
from service.keras.base import KerasLayer, Shape
from service.keras.initializers import law
from service.keras.regularizers import regularizer
from worker.load.builder import Builder
from worker.load.drawing import keras_law
from worker.network.graph import Penalty


def weight(
    layer: KerasLayer,
    build: Builder,
    role: str,
    shape: Sequence[int],
    *,
    axes: Sequence[int] | None = None,
    into: Sequence[int] | None = None,
    as_role: str = "",
    along: tuple[Sequence[int], Sequence[int]] | None = None,
) -> str:
    """Draw the weight `role` (`kernel`, `bias`, …) of a layer by the config's initializer; return its name.

    `shape` is Keras's own; `axes` permutes what is drawn and `into` reshapes it into what ONNX wants.  `as_role` is
    another name for the weight, where the layer holds several by one initializer.  `along` names the axes that come in
    and those that go out, where the layer tells its initializer.
    """
    at = f"{build.pointer}/config/{role}"
    spec = law(getattr(layer, f"{role}_initializer"), f"{at}_initializer")
    if along and isinstance(spec, VarianceScaling) and not isinstance(spec, Along) and _told(layer, role):
        spec = Along(**spec.model_dump(), input_axes=tuple(along[0]), output_axes=tuple(along[1]))
    alike = len(shape) == 2 and axes is None and into is None  # noqa: PLR2004  a matrix that lies as Keras's
    added = penalty(layer, build, role, matrix=alike)
    drawn = keras_law(spec, tuple(shape), axes, None if into is None else tuple(into), at=f"{at}_initializer")
    return build.parameter(as_role or role, drawn, added)


def penalty(layer: KerasLayer, build: Builder, role: str, *, matrix: bool) -> Penalty | None:
    """Return what a weight's regularizer adds to the loss; `matrix` where the weight is one that lies as in Keras.

    UnsupportedModel where the regularizer is for matrices and the weight is none, or lies otherwise.
    """
    at = f"{build.pointer}/config/{role}_regularizer"
    found = regularizer(getattr(layer, f"{role}_regularizer", None), at)
    if found is None:
        return None
    if found.of_matrices and not matrix:
        detail = "OrthogonalRegularizer is examined on the matrices of dense layers and of tables only."
        raise UnsupportedModel(detail, pointer=at)
    return Penalty(found.l1, found.l2, found.rows, found.columns)


def _told(layer: KerasLayer, role: str) -> bool:
    """Whether the Keras that wrote the file lets layers tell initializers their axes (keras-team/keras#22789).

    An older one takes all kernels of more than two axes for those of convolutions, and writes no axes down.
    """
    spec = getattr(layer, f"{role}_initializer")
    config = spec.get("config") if isinstance(spec, dict) else None
    return not isinstance(config, dict) or "input_axes" in config


def sizes(shape: Shape) -> tuple[int, ...]:
    """Return a shape whose sizes are all known."""
    return tuple(size for size in shape if size is not None)
