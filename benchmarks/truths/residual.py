"""Residual blocks without a norm: what skips add up to.

Sources: Zhang et al. 2019 (Fixup), De and Smith 2020, Taki 2017; the sums are elementary.
"""

import math

from benchmarks.truths.truth import Build, Layers, Truth, dense

_HE = {"kind": "dense", "init": "he_normal"}
_RELU = {"kind": "relu"}


def _blocks(inner: Layers, scale: float = 1.0) -> Build:
    """Return blocks behind a dense layer; `scale` multiplies each branch."""

    def build(width: int, depth: int) -> Layers:
        layers = [{**each, "units": width} if each["kind"] == "dense" else each for each in inner]
        block = {"kind": "residual", "layers": layers, "scale": scale}
        return [dense(width, 1.0), *[block] * (depth - 1)]

    return build


TRUTHS = (
    Truth("residual, He", _blocks([_RELU, _HE, _RELU, _HE]), math.log(2)),
    Truth("residual, He, one relu", _blocks([_HE, _RELU, _HE]), math.log(3)),
    Truth("residual, He, branches by √½", _blocks([_RELU, _HE, _RELU, _HE], 0.5**0.5), math.log(1.5)),
    Truth("residual, He, branches by √(1/20)", _blocks([_RELU, _HE, _RELU, _HE], 0.05**0.5), math.log(1.05)),
    Truth("residual, zero-initialised", _blocks([_HE, _RELU, {"kind": "dense", "init": "zeros"}]), 0.0, 0.0),
    Truth(
        "residual, tanh, orthogonal branch of no activation",
        _blocks([{"kind": "dense", "init": "orthogonal"}]),
        math.log(2),
        2.0,
    ),
)
