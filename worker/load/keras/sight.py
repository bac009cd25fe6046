"""What an attention's queries see: all masks of a call and its layer joined, and the softmax behind them."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import torch

from service.keras.attending import SEQUENCE, Attending
from service.keras.base import Call
from service.keras.masks import unmaskable
from worker.load.builder import Builder
from worker.load.keras import Signal

LARGE: Final = -0.7 * 3.38953e38
"""What Keras's backend adds to a masked logit: the rest is lost, and rows that are masked all over are even."""
MASKED: Final = -1e9
"""What Keras puts in place of a masked logit, where it computes the softmax itself."""


class Seen(NamedTuple):
    """A mask, broadcastable to (batch, heads, query steps, key steps), true where a step is seen."""

    value: str
    causal: bool
    """Whether it only hides later steps: then no row is masked all over."""


def seen(layer: Attending, build: Builder, call: Call[Signal]) -> Seen | None:
    """Put down what all masks of a call let through; None where there are none."""
    query, value = call.of("query")[0], call.of("value")[0]
    found = list(_steps(layer, build, call))
    causal = not found and call.get("attention_mask") is None and layer.sliding_window is None
    if call.get("use_causal_mask"):
        found.append(earlier(build, query, value))
    if layer.sliding_window is not None:
        found.append(_near(build, query, value, layer.sliding_window))
    found.extend(_given(build, call.get("attention_mask")))
    if found and len(query.shape) != SEQUENCE:
        raise unmaskable(build.pointer)
    if not found:
        return None
    whole = found[0]
    for index, each in enumerate(found[1:], 1):
        whole = build.node("And", whole, each, role=f"seen{index}")
    return Seen(whole, causal)


def masked(build: Builder, logits: str, mask: Seen | None, *, explicit: bool) -> str:
    """Put down the softmax of masked logits.

    Where Keras computes it itself (`explicit`), nothing passes a row that is masked all over; where its backend does,
    such a row sees all steps alike.
    """
    if mask is None:
        return build.node("Softmax", logits, role="softmax", axis=-1)
    if mask.causal or explicit:
        low = build.constant("masked", torch.tensor(MASKED))
        logits = build.node("Where", mask.value, logits, low, role="mask")
    else:
        logits = added(build, logits, mask.value, LARGE)
    weights = build.node("Softmax", logits, role="softmax", axis=-1)
    if mask.causal or not explicit:
        return weights
    return build.node("Where", mask.value, weights, _zero(build), role="seen.only")


def added(build: Builder, logits: str, mask: str, low: float) -> str:
    """Add `low` to the logits of steps that are not seen."""
    bias = build.node("Where", mask, _zero(build), build.constant("low", torch.tensor(low)), role="bias")
    return build.node("Add", logits, bias, role="mask")


def earlier(build: Builder, query: Signal, value: Signal) -> str:
    """Put down (query steps, key steps), true where a key is not later than the query."""
    steps, keys = query.shape[0], value.shape[0]
    if steps is not None and keys is not None:
        return build.constant("seen", torch.ones(steps, keys, dtype=torch.bool).tril())
    rows, columns = _range(build, query, "rows", 1), _range(build, value, "columns", 0)
    return build.node("GreaterOrEqual", rows, columns, role="seen")


def boolean(build: Builder, given: Signal, role: str) -> str:
    """Put down a mask as truth values."""
    return given.value if given.dtype == "bool" else build.node("Cast", given.value, role=f"{role}.true", to=9)


def widened(build: Builder, mask: str, role: str, *axes: int) -> str:
    """Put down a mask with more axes, at these places."""
    return build.node("Unsqueeze", mask, build.constant(f"{role}.axes", torch.tensor(axes)), role=f"{role}.wide")


def _given(build: Builder, mask: Any) -> Iterator[str]:  # noqa: ANN401  a tensor, numbers of the file, or None
    """Yield the mask that a call names as (batch, heads, query steps, key steps), any of them 1."""
    if isinstance(mask, Signal):
        value = boolean(build, mask, "attention_mask")
        yield value if len(mask.shape) > SEQUENCE else widened(build, value, "attention_mask", 1)
    elif mask is not None:
        seen = torch.tensor(mask) != 0
        while seen.dim() < SEQUENCE + 2:
            seen = seen.unsqueeze(-3)
        yield build.constant("attention_mask", seen)


def _zero(build: Builder) -> str:
    return build.constant("zero", torch.tensor(0.0))


def _steps(layer: Attending, build: Builder, call: Call[Signal]) -> Iterator[str]:
    """Yield the masks of query, value and key steps, as (batch, 1, query steps or 1, key steps or 1)."""
    for part in ("query", "value", "key"):
        role, own, given = f"{part}_mask", call.of(f"{part}_mask"), call.of(part)
        mask = given[0].mask if given else None
        if own and (part != "query" or not layer.unmasks):  # MultiHeadAttention overwrites the query's by the tensor's
            mask = boolean(build, own[0], role)
        if mask:
            yield widened(build, mask, role, 1, 3 if part == "query" else 2)


def _near(build: Builder, query: Signal, value: Signal, window: int) -> str:
    """Put down (query steps, key steps), true where both are less than `window` apart."""
    steps, keys = query.shape[0], value.shape[0]
    if steps is not None and keys is not None:
        return build.constant("near", (torch.arange(steps).unsqueeze(1) - torch.arange(keys)).abs() < window)
    rows, columns = _range(build, query, "near.rows", 1), _range(build, value, "near.columns", 0)
    apart = build.node("Abs", build.node("Sub", rows, columns, role="near.apart"), role="near.distance")
    return build.node("Less", apart, build.constant("window", torch.tensor(window)), role="near")


def _range(build: Builder, given: Signal, role: str, axis: int) -> str:
    """Put down 0, 1, … along the steps of a value, with one axis more."""
    length = build.node("Shape", given.value, role=f"{role}.shape", start=1, end=2)
    count = build.node("Squeeze", length, build.constant("first", torch.tensor([0])), role=f"{role}.count")
    zero, one = (build.constant(f"place{number}", torch.tensor(number)) for number in (0, 1))
    places = build.node("Range", zero, count, one, role=f"{role}.places")
    return widened(build, places, role, axis)
