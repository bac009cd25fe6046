"""ONNX's own operators by name, for those of other domains that are made of them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from service.contract.problem import UnsupportedOperator
from worker.network.ops import NEWEST, find

MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's own operators."""
OTHERWISE: dict[str, Callable[..., Tensor]] = {
    "": lambda x: x,
    "Clip": torch.clamp,
    "FastGelu": lambda x: functional.gelu(x, approximate="tanh"),
    "Silu": functional.silu,
}
"""Activations that ONNX has no operator for, or one that takes inputs."""


@cache
def standard(name: str, opset: int = NEWEST, domain: str = "") -> Callable[..., Any]:
    """Return the function of another operator; UnsupportedOperator where there is none here."""
    found = find(domain, name, opset)
    if found is None:
        msg = f"The operator {name} of {domain or 'ai.onnx'} is not computed by a function of its own."
        raise UnsupportedOperator(msg)
    return found.function


def activated(x: Tensor, name: str, **settings: float | None) -> Tensor:
    """Return x through the activation that is fused to another operator; a setting of None keeps its default."""
    given = {key: value for key, value in settings.items() if value is not None}
    y: Tensor = (OTHERWISE.get(name) or standard(name))(x, **given)
    return y
