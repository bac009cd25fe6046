"""What share of its input a dropout puts to zero in training, whatever the opset says it by."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from worker.network.graph import Node

_USUAL: Final = 0.5
"""ONNX's default."""


def dropped_share(node: Node, held: Mapping[str, Tensor]) -> float:
    """Return a dropout's rate: an attribute of early opsets and of this project's own, else among the values held."""
    given = node.attributes.get("ratio")
    if len(node.inputs) > 1 and node.inputs[1]:
        value = held.get(node.inputs[1])
        given = None if value is None else float(value)
    return float(given) if isinstance(given, int | float) else _USUAL
