"""Recurrent networks: gain along time, apart from gain along depth."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.diagnosis.case import Case
from benchmarks.diagnosis.families.draw import Draw, Made, Variant, built, chain
from benchmarks.diagnosis.families.layers import act, dense
from benchmarks.diagnosis.families.tasks import CLASSES, series

_FORGETS = ("recurrent_gain", "vanishing_gradient")
_GROWS = ("recurrent_gain", "exploding_gradient")
_CHAOS = (*_GROWS, "saturated_units")


def cell(kind: str, steps: int, *, first: bool = False, **more: Any) -> Callable[[Draw], Made]:  # noqa: ANN401
    """Return the maker of a recurrent classifier; with `first`, the class is told at the first step alone."""

    def make(draw: Draw) -> Made:
        layer = {"kind": kind, "units": draw.width // 2, **more}
        return chain([layer, dense(CLASSES)], series(draw, steps=draw.deep(steps, steps + 2), first=first))

    return make


def stacked(kind: str) -> Callable[[Draw], Made]:
    """Return the maker of two recurrent layers above each other, with a norm between."""

    def make(draw: Draw) -> Made:
        units = draw.width // 2
        lower = {"kind": kind, "units": units, "return_sequences": True}
        return chain([lower, act("layer_norm"), {"kind": kind, "units": units}, dense(CLASSES)], series(draw, steps=12))

    return make


def _recurrent(law: str, gain: float) -> dict[str, Any]:
    if law == "normal":
        return {"kernel": "xavier_normal", "recurrent": {"law": "lecun_normal", "gain": gain}}
    return {"kernel": "xavier_normal", "recurrent": {"law": law, "gain": gain}}


_VARIANTS = (
    Variant("rnn/orthogonal-tanh", cell("rnn", 16, init=_recurrent("orthogonal", 1))),
    Variant("rnn/bidirectional", cell("rnn", 10, bidirectional=True, init=_recurrent("orthogonal", 1))),
    Variant("lstm/default", cell("lstm", 20), hard=True),
    Variant("lstm/stacked", stacked("lstm")),
    Variant("gru/default", cell("gru", 16), hard=True),
    Variant(
        "rnn/growing-relu",
        cell("rnn", 40, activation="relu", init=_recurrent("normal", 2.8)),
        _GROWS,
        hard=True,
    ),
    Variant("rnn/chaotic-tanh", cell("rnn", 40, first=True, init=_recurrent("normal", 4)), _CHAOS, hard=True),
    Variant("rnn/forgetting-tanh", cell("rnn", 36, first=True, init=_recurrent("normal", 0.3)), _FORGETS),
    Variant("rnn/forgetting-sigmoid", cell("rnn", 30, first=True, activation="sigmoid"), _FORGETS),
    Variant(
        "lstm/growing-state",
        cell("lstm", 30, first=True, init=_recurrent("normal", 16), forget_bias=2),
        _CHAOS,
        hard=True,
    ),
    Variant("lstm/forgetting", cell("lstm", 30, first=True, forget_bias=-6), _FORGETS),
    Variant(
        "gru/forgetting",
        cell("gru", 30, first=True, init={"kernel": "xavier_normal", "bias": {"law": "constant", "value": -4}}),
        _FORGETS,
    ),
)


def recurrent() -> Iterator[Case]:
    """Yield the recurrent cases."""
    yield from built(_VARIANTS)
