"""Resize of the axes behind the channels.

All axes are given, and none named: onnxruntime moves transpositions over a Resize that names its axes, and is wrong.
"""

from collections.abc import Sequence
from typing import Any

import torch

from worker.load.builder import Builder


def by_factors(build: Builder, value: str, factors: Sequence[float], **how: Any) -> str:  # noqa: ANN401  attributes of Resize
    """Put down a Resize that multiplies sizes; what comes out is rounded down."""
    scales = build.constant("factors", torch.tensor([1.0, 1.0, *factors]))
    return build.node("Resize", value, "", scales, **how)


def to_sizes(build: Builder, value: str, sizes: Sequence[int], **how: Any) -> str:  # noqa: ANN401  attributes of Resize
    """Put down a Resize to these sizes."""
    outer = build.node("Shape", value, role="outer", start=0, end=2)
    whole = build.node("Concat", outer, build.constant("sizes", torch.tensor(sizes)), role="size", axis=0)
    return build.node("Resize", value, "", "", whole, **how)
