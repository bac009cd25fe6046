"""Keras's layers, one module per family.

To add one: a class below `KerasLayer` with the decorator `@keras("Dense")`, and a function of the same name in
`worker/load/keras/`.
"""

from collections.abc import Callable
from typing import TypeVar

from service.keras.base import KerasLayer
from service.registry import Registry

Some = TypeVar("Some", bound=type[KerasLayer])

layers: Registry[type[KerasLayer]] = Registry(__name__)


def keras(*names: str) -> Callable[[Some], Some]:
    """Register a class under its names in Keras; functions of keras.ops are named `ops.Add`."""

    def register(kind: Some) -> Some:
        for name in names:
            layers.add(name, kind)
        return kind

    return register
