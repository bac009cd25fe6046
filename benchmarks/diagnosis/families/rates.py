"""What is declared of training: rates, momentum, decay and noise that suit a sound network, and some that do not."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.families.draw import Draw, Layers, Made, Variant, built, chain
from benchmarks.diagnosis.families.layers import act, dense, repeat, trunk
from benchmarks.diagnosis.families.tasks import CLASSES, clusters

_FAST = ("unstable_learning_rate", "non_finite", "gradient_spikes")
_SLOW = ("slow_learning_rate", "stalled_training")
_HELD = ("over_regularization",)


def declared(optimizer: str, rate: float, **more: Any) -> Callable[[Draw], Made]:  # noqa: ANN401
    """Return the maker of a sound classifier that says how it will be trained."""

    def make(draw: Draw) -> Made:
        layers = [*trunk(draw.deep(3, 4), draw.width, "relu", "he_normal"), dense(CLASSES)]
        return chain(layers, clusters(draw), optimizer=optimizer, learning_rate=rate, **more)

    return make


def dropping(rate: float) -> Callable[[Draw], Made]:
    """Return the maker of a classifier that drops this share behind every layer."""

    def make(draw: Draw) -> Made:
        drop: Layers = [{"kind": "dropout", "rate": rate}]
        layers = repeat(draw.deep(3, 4), dense(draw.width, "he_normal"), act("relu"), *drop)
        return chain([*layers, dense(CLASSES)], clusters(draw))

    return make


_VARIANTS = (
    Variant("rates/adam", declared("adam", 1e-3)),
    Variant("rates/sgd", declared("sgd", 0.1)),
    Variant("rates/momentum", declared("momentum", 0.02, momentum=0.9)),
    Variant("rates/adamw-decay", declared("adamw", 1e-3, weight_decay=0.01)),
    Variant("rates/clipped", declared("sgd", 0.1, clipping={"kind": "norm", "limit": 1.0})),
    Variant("rates/sgd-large", declared("sgd", 0.3), hard=True),
    Variant("rates/adam-300", declared("adam", 300), _FAST, certain=True),
    Variant("rates/sgd-1e4", declared("sgd", 1e4), _FAST, certain=True),
    Variant("rates/momentum-20", declared("momentum", 20, momentum=0.95), _FAST, certain=True),
    Variant("rates/adam-1e-8", declared("adam", 1e-8), _SLOW, certain=True),
    Variant("rates/sgd-1e-7", declared("sgd", 1e-7), _SLOW, certain=True),
    Variant("rates/decay", declared("sgd", 0.1, weight_decay=3.0), _HELD, certain=True),
    Variant("rates/dropout-97", dropping(0.97), _HELD, certain=True),
)


def rates() -> Iterator[Case]:
    """Yield the cases of declared training."""
    yield from built(_VARIANTS)
