"""Chains of dense layers: every activation at, below and above its critical scale.

Sources: Poole et al. 2016, Schoenholz et al. 2017, Klambauer et al. 2017 (SELU), Roberts, Yaida and Hanin 2022 (GELU,
SiLU), Glorot and Bengio 2010, He et al. 2015.
"""

import math
from typing import Final

from benchmarks.truths.mean_field import chi, fixed_point, kurtosis
from benchmarks.truths.truth import Build, Layers, Truth, dense

_FADING: Final = 1e-8
"""A second moment near that of a signal that dies out."""
_ALPHA: Final = {"leaky_relu": {"alpha": 0.2}}


def plain(name: str, weights: float, biases: float, start: float, *, orthogonal: bool = False) -> Build:
    """Return a chain whose pre-activations begin with the second moment `start`."""
    matrix = {"law": "orthogonal", "gain": math.sqrt(weights)} if orthogonal else None

    def build(width: int, depth: int) -> Layers:
        first, later = dense(width, start - biases, biases), dense(width, weights, biases)
        later = {**later, "init": matrix or later["init"]}
        activation = [] if name == "linear" else [{"kind": name, **_ALPHA.get(name, {})}]
        return [first, *[*activation, later] * (depth - 1), *activation]

    return build


def lawful(name: str | None, law: object) -> Build:
    """Return a chain drawn by a named law, PyTorch's own where it is None."""

    def build(width: int, depth: int) -> Layers:
        one = {"kind": "dense", "units": width, **({"init": law} if law else {})}
        return [*([one, {"kind": name}] if name else [one])] * depth

    return build


def at(
    title: str, name: str, weights: float, biases: float = 0.0, q: float | None = None, *, spread: float = 1.0
) -> Truth:
    """Return the truth of a chain at its fixed point, or at `q` where it has none or does not stay there."""
    q = fixed_point(name, weights, biases) if q is None else q
    gain, scatter = math.log(chi(name, weights, q)), kurtosis(name, q)
    return Truth(f"{name}, {title}", plain(name, weights, biases, q), gain, scatter, spread)


TRUTHS = (
    at("Xavier", "linear", 1, q=1),
    at("He", "linear", 2, q=1),
    at("He", "relu", 2, q=2),
    at("Xavier", "relu", 1, q=1),
    at("σ_w² = 4", "relu", 4, q=1),
    at("He's for it", "leaky_relu", 1.923077, q=1),
    at("PyTorch's weights", "tanh", 1 / 3, q=_FADING),
    at("σ_w² = 2", "tanh", 2),
    at("gain 5/3", "tanh", 25 / 9),
    at("critical", "tanh", 1.760955, 0.05),
    at("critical with larger biases", "tanh", 2.285152, 0.2),
    at("ordered", "tanh", 1.3, 0.05),
    at("chaotic", "tanh", 4, 0.05),
    at("σ_w² = 2", "softsign", 2),
    at("PyTorch's weights", "sigmoid", 1 / 3),
    at("Xavier", "sigmoid", 1),
    at("He", "sigmoid", 2),
    at("σ_w² = 16", "sigmoid", 16),
    at("LeCun", "selu", 1),
    at("gain 3/4", "selu", 9 / 16),
    at("critical", "elu", 1.496777, 0.034660),
    at("Xavier", "gelu", 1, q=_FADING),
    at("critical", "gelu", 1.98305826, 0.17292239, 3.561553, spread=3),
    at("Xavier", "silu", 1, q=_FADING),
    at("critical", "silu", 1.98800468, 0.55514317, 14.320174, spread=3),
    at("Xavier", "softplus", 1),
    Truth("relu, He uniform", lawful("relu", "he_uniform"), 0.0),
    Truth("relu, PyTorch's default", lawful("relu", None), math.log(1 / 6)),
    Truth("linear, PyTorch's default", lawful(None, None), math.log(1 / 3), 2.0),
    Truth("linear, orthogonal", lawful(None, "orthogonal"), 0.0, 0.0),
    Truth(
        "tanh, orthogonal 1.05",
        plain("tanh", 1.05, 0, fixed_point("tanh", 1.05, 0), orthogonal=True),
        math.log(chi("tanh", 1.05, fixed_point("tanh", 1.05, 0))),
        2.0,
    ),
)
"""At the critical points of GELU and SiLU lengths are only half stable: gains scatter up to three times as wide."""
