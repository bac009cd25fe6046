"""What operators with the channels first need around them on (time, features)."""

from collections.abc import Callable

from service.contract.architecture import Shape
from service.contract.architecture.base import SEQUENCE
from worker.load.builder import Builder


def channels_first(build: Builder, value: str, shape: Shape, inside: Callable[[str], str]) -> str:
    """Put down what `inside` makes of the value; sequences are turned to (features, time) and back around it."""
    if len(shape) != SEQUENCE:
        return inside(value)
    turned = build.node("Transpose", value, role="turned", perm=(0, 2, 1))
    return build.node("Transpose", inside(turned), role="back", perm=(0, 2, 1))
