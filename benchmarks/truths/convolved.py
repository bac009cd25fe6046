"""Chains of 3×3 convolutions: zero padding loses some of the gradient at every border.

Per layer a map of H×H keeps [(1 + 2cos(π/(H + 1)))/3]² of the squared gradient; circular padding keeps all of it.
Source: Xiao et al. 2018 (arXiv 1806.05393); the factor is the largest eigenvalue of the padded averaging.
"""

import math
from typing import Any

from benchmarks.truths.truth import Layers, Truth

_SLACK = 0.01
"""Maps come to their stationary profile only after some layers."""


def _conv(width: int, init: str | None, padding: object) -> dict[str, Any]:
    init_ = {} if init is None else {"init": init}
    return {"kind": "conv2d", "filters": width, "kernel": 3, "padding": padding, "bias": False, **init_}


def kept(size: int) -> float:
    """Return ln of the share of the squared gradient that a layer with zero padding keeps."""
    return 2 * math.log((1 + 2 * math.cos(math.pi / (size + 1))) / 3)


def _padded(title: str, size: int, init: str | None, gain: float) -> Truth:
    def build(width: int, depth: int) -> Layers:
        return [_conv(width, init, "same"), {"kind": "relu"}] * depth

    return Truth(f"conv relu {size}×{size}, {title}", build, gain + kept(size), slack=_SLACK, image=size)


def _circular(size: int) -> Truth:
    def build(width: int, depth: int) -> Layers:
        around = {"kind": "pad", "amounts": 1, "mode": "circular"}
        return [around, _conv(width, "he_normal", "valid"), {"kind": "relu"}] * depth

    return Truth(f"conv relu {size}×{size}, He, circular", build, 0.0, slack=_SLACK, image=size)


TRUTHS = (
    _padded("He", 4, "he_normal", 0.0),
    _padded("He", 8, "he_normal", 0.0),
    _padded("PyTorch's default", 8, None, math.log(1 / 6)),
    _circular(6),
)
