"""What operators with the channels first need around them where Keras has them last."""

from collections.abc import Callable

from service.keras.sliding import Spatial
from worker.load.builder import Builder


def channels_first(layer: Spatial, build: Builder, value: str, inside: Callable[[str], str]) -> str:
    """Put down what `inside` makes of the value with its channels first, and turn it back."""
    if layer.first:
        return inside(value)
    axes = layer.axes
    turned = build.node("Transpose", value, role="turned", perm=(0, axes + 1, *range(1, axes + 1)))
    return build.node("Transpose", inside(turned), role="back", perm=(0, *range(2, axes + 2), 1))
