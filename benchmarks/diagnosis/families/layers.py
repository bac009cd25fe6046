"""The layers of a description, in a word each."""

import math
from typing import Any

from benchmarks.diagnosis.families.draw import Layers

Layer = dict[str, Any]


def dense(units: int, init: Any = None, **more: Any) -> Layer:  # noqa: ANN401
    """Return a dense layer; torch's default laws where none are named."""
    return {"kind": "dense", "units": units, **({} if init is None else {"init": init}), **more}


def conv(filters: int, init: Any = "he_normal", kernel: int = 3, **more: Any) -> Layer:  # noqa: ANN401
    """Return a convolution that keeps the image's size."""
    return {"kind": "conv2d", "filters": filters, "kernel": kernel, "padding": "same", "init": init, **more}


def act(kind: str) -> Layer:
    """Return an activation, a norm, or any layer that needs no numbers."""
    return {"kind": kind}


def variance(scale: float) -> Layer:
    """Return the law whose variance is `scale` / fan_in."""
    return {"law": "he_normal", "gain": math.sqrt(scale / 2)}


def biased(kernel: Any, value: float) -> Layer:  # noqa: ANN401
    """Return a kernel's law beside a constant bias."""
    return {"kernel": kernel, "bias": {"law": "constant", "value": value}}


def residual(*layers: Layer, **more: Any) -> Layer:  # noqa: ANN401
    """Return layers with a way around them."""
    return {"kind": "residual", "layers": list(layers), **more}


def repeat(times: int, *layers: Layer) -> Layers:
    """Return layers several times over, each time with weights of its own."""
    return [layer for _ in range(times) for layer in layers]


def trunk(depth: int, width: int, activation: str, init: Any, *norm: Layer) -> Layers:  # noqa: ANN401
    """Return dense layers, each with its norm, if any, and its activation."""
    return repeat(depth, dense(width, init), *norm, act(activation))
