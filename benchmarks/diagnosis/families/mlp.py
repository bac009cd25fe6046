"""Fully connected networks: the graded ladder of gains, and healthy ones of every common recipe.

Severity follows L · |ln χ|: 2 is healthy, 4 and 6 are between, 9 is moderate, 14 and 30 are severe.
"""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.diagnosis.case import Case, Severity
from benchmarks.diagnosis.families.draw import Draw, Made, Variant, built, chain
from benchmarks.diagnosis.families.layers import Layer, act, dense, repeat, residual, trunk, variance
from benchmarks.diagnosis.families.tasks import CLASSES, clusters, teacher

_FADES = ("vanishing_gradient", "poor_init_scale", "rank_collapse")
_BURSTS = ("exploding_gradient", "poor_init_scale")
_CHAOS = ("exploding_gradient", "shattered_gradient", "saturated_units", "poor_init_scale")
_NORMS = ("exploding_gradient", "normalization_misuse", "shattered_gradient")

_BETWEEN: Severity = "borderline"


def plain(
    activation: str,
    init: Any,  # noqa: ANN401
    depth: int,
    held_out: int = 0,
    *norm: Layer,
    width: int = 0,
) -> Callable[[Draw], Made]:
    """Return the maker of a plain classifier with so many hidden layers."""

    def make(draw: Draw) -> Made:
        deep = draw.deep(depth, held_out or depth)
        layers = trunk(deep, width or draw.width, activation, init, *norm)
        return chain([*layers, dense(CLASSES, "lecun_normal")], clusters(draw))

    return make


def regression(draw: Draw) -> Made:
    """Return a small regression."""
    return chain([*trunk(3, draw.width, "tanh", "xavier_normal"), dense(1)], teacher(draw))


def dropped(draw: Draw) -> Made:
    """Return a classifier with dropout behind each layer."""
    layers = repeat(3, dense(draw.width, "he_normal"), act("relu"), {"kind": "dropout", "rate": 0.3})
    return chain([*layers, dense(CLASSES)], clusters(draw))


def hidden_by_adam(draw: Draw) -> Made:
    """Return a classifier whose gradient fades, to be trained by Adam, whose steps do not show it."""
    layers = [*trunk(draw.deep(9, 10), draw.width, "relu", None), dense(CLASSES)]
    return chain(layers, clusters(draw), optimizer="adam", learning_rate=1e-3)


def gated(draw: Draw) -> Made:
    """Return a highway network: each layer's gate lets most of the input pass."""
    layer = {
        "kind": "gated",
        "carry": True,
        "layers": [dense(draw.width, "he_normal"), act("relu")],
        "gate": [dense(draw.width, {"kernel": "xavier_normal", "bias": {"law": "constant", "value": -2}})],
    }
    return chain([dense(draw.width), *repeat(8, layer), dense(CLASSES)], clusters(draw))


def mixer(draw: Draw) -> Made:
    """Return pre-norm residual blocks of dense layers."""
    width = draw.width
    block = residual(act("layer_norm"), dense(2 * width, "he_normal"), act("gelu"), dense(width, "xavier_normal"))
    return chain([dense(width), *repeat(draw.deep(10, 14), block), act("layer_norm"), dense(CLASSES)], clusters(draw))


def _ladder() -> Iterator[Variant]:
    """Yield the graded gains: fading by two recipes, growing by one."""
    fading: tuple[tuple[int, Severity], ...] = (
        (3, "healthy"),
        (6, _BETWEEN),
        (9, _BETWEEN),
        (13, "moderate"),
        (20, "severe"),
        (43, "severe"),
    )
    for depth, severity in fading:
        symptoms = () if severity == "healthy" else _FADES
        yield Variant(f"mlp/xavier-relu-{depth}", plain("relu", "lecun_normal", depth), symptoms, severity)
    growing: tuple[tuple[int, Severity], ...] = ((15, _BETWEEN), (22, "moderate"), (70, "severe"))
    for depth, severity in growing:
        yield Variant(f"mlp/wide-relu-{depth}", plain("relu", variance(3), depth), _BURSTS, severity)
    for depth, severity in ((5, "moderate"), (17, "severe")):
        yield Variant(f"mlp/default-relu-{depth}", plain("relu", None, depth), _FADES, severity)


_NORM = act("batch_norm")
_VARIANTS = (
    *_ladder(),
    Variant("mlp/he-relu-12", plain("relu", "he_normal", 12, 10)),
    Variant("mlp/glorot-tanh-8", plain("tanh", "xavier_normal", 8, 10)),
    Variant("mlp/bn-relu-5", plain("relu", "he_normal", 5, 4, _NORM)),
    Variant("mlp/regression", regression),
    Variant("mlp/highway-8", gated),
    Variant("mlp/pre-norm-10", mixer),
    Variant("mlp/dropout", dropped, hard=True),
    Variant("mlp/default-3", plain("relu", None, 2), hard=True),
    Variant("mlp/narrow-32", plain("relu", "he_normal", 8, 6, width=32), hard=True),
    Variant("mlp/selu-20", plain("selu", "lecun_normal", 20, 18), hard=True),
    Variant("mlp/ln-relu-30", plain("relu", "he_normal", 30, 26, act("layer_norm")), hard=True),
    Variant("mlp/orthogonal-tanh-100", plain("tanh", {"law": "orthogonal", "gain": 1.0247}, 100, 90), hard=True),
    Variant("mlp/hidden-by-adam", hidden_by_adam, _FADES, hard=True, certain=True),
    Variant("mlp/sigmoid-10", plain("sigmoid", "xavier_normal", 10, 12), _FADES),
    Variant("mlp/chaotic-tanh-30", plain("tanh", variance(9), 30, 26), _CHAOS),
    Variant("mlp/bn-relu-80", plain("relu", "he_normal", 80, 84, _NORM), _NORMS, hard=True),
)


def mlp() -> Iterator[Case]:
    """Yield the fully connected cases."""
    yield from built(_VARIANTS)
