"""Recurrent networks: the gain per time step.

One matrix acts at every step, so a finite width does not average out: `slack` is what the spectral radius of one draw
leaves open, ±.05 in ln of the norm.  Sources: Pascanu et al. 2013, Chen et al. 2018 (arXiv 1806.05394).
"""

import math
from typing import Any

from benchmarks.truths.mean_field import chi, fixed_point
from benchmarks.truths.truth import Layers, Truth


def _cell(recurrent: object, driven: float, activation: str) -> Any:  # noqa: ANN401
    def build(width: int, depth: int) -> Layers:
        kernel = {"law": "normal", "std": math.sqrt(driven / width)} if driven else "zeros"
        init = {"recurrent": recurrent, "kernel": kernel, "bias": "zeros"}
        return [{"kind": "rnn", "units": width, "activation": activation, "init": init}]

    return build


def _rotated(activation: str, scale: float, driven: float, slack: float) -> Truth:
    """Return a cell with an orthogonal matrix of this scale; `driven` is the variance that the input adds."""
    gain = 2 * math.log(scale)
    if driven:
        gain = math.log(chi(activation, scale**2, fixed_point(activation, scale**2, driven)))
    title = f"rnn {activation}, orthogonal {scale:g}" + (f", inputs of {driven:g}" if driven else "")
    law = {"law": "orthogonal", "gain": scale}
    return Truth(title, _cell(law, driven, activation), gain, 0.0, slack=slack, in_time=True)


TRUTHS = (
    _rotated("linear", 1.0, 0.0, 1e-4),
    _rotated("linear", 1.1, 0.0, 1e-4),
    _rotated("tanh", 0.9, 0.0, 1e-4),
    _rotated("tanh", 1.0, 0.05, 0.1),
    _rotated("tanh", 1.5, 0.05, 0.1),
    _rotated("tanh", 2.0, 0.5, 0.1),
)
