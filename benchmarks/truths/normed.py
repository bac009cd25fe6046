"""Chains with a norm in front of each activation: whatever the weights' scale, theory gives one gain.

Batch norm's is for infinitely many samples; B of them add about 1/B, as the closed form (B − 2)/(B − 3) for linear
networks shows.  Sources: Yang et al. 2019 (arXiv 1902.08129, theorems 7 to 9).
"""

import math

from benchmarks.truths.mean_field import batch_normed, kurtosis, layer_normed, length, variance
from benchmarks.truths.truth import SAMPLES, Layers, Truth, dense


def _normed(norm: str, name: str, weights: float) -> Truth:
    batched = norm == "batch_norm"
    start = weights * (variance(name) if batched else length(name, 1.0, 0.0, 1.0))

    def build(width: int, depth: int) -> Layers:
        normed = [{"kind": norm}, *([] if name == "linear" else [{"kind": name}])]
        return [dense(width, start), *[*normed, dense(width, weights)] * (depth - 1), *normed]

    gain = math.log(batch_normed(name) if batched else layer_normed(name)) + batched / SAMPLES
    said = "" if weights == 1 else f", weights ×{math.sqrt(weights):g}"
    return Truth(f"{name}, {norm}{said}", build, gain, kurtosis(name, 1.0), slack=0.03 if batched else 0.0)


TRUTHS = (
    *(_normed("batch_norm", name, 1.0) for name in ("linear", "relu", "tanh", "gelu", "selu")),
    *(_normed("layer_norm", name, 1.0) for name in ("relu", "tanh", "sigmoid", "gelu", "silu", "softplus")),
    _normed("batch_norm", "relu", 100.0),
    _normed("layer_norm", "relu", 0.01),
)
