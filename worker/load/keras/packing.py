"""Masked steps: left out before a recurrent operator, and put back behind it.

The steps that count are moved to the front, in their order, and the operator is told how many there are: it then does
what Keras does, which carries states and outputs over masked steps.
"""

from dataclasses import dataclass
from typing import Final

import torch

from worker.load.builder import Builder

BOOL: Final = 9
INT32: Final = 6
INT64: Final = 7
"""ONNX's numbers of types."""


def flipped(build: Builder, value: str, role: str) -> str:
    """Turn the time (the axis behind the batch's) round."""
    ends = (("last", -1), ("first", -(2**62)), ("time", 1), ("back", -1))
    bounds = [build.constant(f"{role}.{name}", torch.tensor([number])) for name, number in ends]
    return build.node("Slice", value, *bounds, role=role)


def only(build: Builder, shown: str, value: str, role: str) -> str:
    """Put zeros where the bool value `shown` is false."""
    return build.node("Where", shown, value, build.constant(f"{role}.zero", torch.tensor(0.0)), role=role)


@dataclass(frozen=True)
class Packing:
    """Names of values that say which steps count, in the order in which the cell walks."""

    order: str
    """(batch, time, 1): the step to take at each place, those that count first."""
    places: str
    """(batch, time, 1): the place of the last step that counted, up to each step."""
    counts: str
    """(batch, time, 1, …), bool: whether the step counts."""
    begun: str
    """(batch, time, 1, …), bool: whether a step has counted so far."""
    lengths: str
    """(batch), int32: how many steps count."""

    def packed(self, build: Builder, value: str) -> str:
        """Move the steps of (batch, time, …) that count to the front."""
        return build.node("GatherND", value, self.order, role="packed", batch_dims=1)

    def running(self, build: Builder) -> str:
        """Return which of the packed steps count, (batch, time, 1, …)."""
        return build.node("GatherND", self.counts, self.order, role="packed.counts", batch_dims=1)

    def unpacked(self, build: Builder, steps: str, *, zero: bool) -> str:
        """Put outputs back where their steps were; a masked step shows the one before it, or zeros."""
        found = build.node("GatherND", steps, self.places, role="unpacked", batch_dims=1)
        return only(build, self.counts if zero else self.begun, found, "shown")

    def end(self, build: Builder, last: str, *, zero: bool) -> str:
        """Return the output after the last step: zeros where that (or, unless `zero`, every one) is masked."""
        ends = (("end", -1), ("beyond", 2**62), ("time", 1))
        bounds = [build.constant(f"shown.{name}", torch.tensor([number])) for name, number in ends]
        final = build.node("Slice", self.counts if zero else self.begun, *bounds, role="shown.step")
        axis = build.constant("shown.axis", torch.tensor([1]))
        return only(build, build.node("Squeeze", final, axis, role="shown.sample"), last, "shown")


def pack(build: Builder, mask: str, *, backwards: bool, axes: int = 1) -> Packing:
    """Put down what a bool mask (batch, time) says about the steps, for values with so many axes behind these."""
    inner = build.inner("mask")

    def whole(name: str, *numbers: int) -> str:
        return inner.constant(name, torch.tensor(numbers[0] if len(numbers) == 1 else numbers))

    ones, time, wide = whole("one", 1), whole("time", 1), inner.constant("wide", torch.tensor([2]))
    wider = inner.constant("wider", torch.arange(2, 2 + axes))
    given = inner.node("Cast", inner.node("Cast", mask, role="bool", to=BOOL), role="numbers", to=INT64)
    given = flipped(inner, given, "turned_round") if backwards else given
    counts = inner.node("Cast", given, role="counts", to=BOOL)
    seen = inner.node("CumSum", given, time, role="seen")
    left_out = inner.node("CumSum", inner.node("Sub", ones, given, role="masked"), time, role="left_out")
    axis = inner.constant("axis", torch.tensor([1]))
    total = inner.node("ReduceSum", given, axis, role="total", keepdims=1)
    front = inner.node("Sub", seen, ones, role="front")
    rear = inner.node("Sub", inner.node("Add", total, left_out, role="sum"), ones, role="rear")
    place = inner.node("Where", counts, front, rear, role="place")
    steps = inner.node("Add", front, left_out, role="steps")
    order = inner.node("ScatterElements", steps, place, steps, role="order", axis=1)
    zero = whole("zero", 0)

    def widened(value: str, role: str, to: str = wide) -> str:
        return inner.node("Unsqueeze", value, to, role=role)

    return Packing(
        order=widened(order, "order.wide"),
        places=widened(inner.node("Max", front, zero, role="last"), "last.wide"),
        counts=widened(counts, "counts.wide", wider),
        begun=widened(inner.node("Greater", seen, zero, role="begun"), "begun.wide", wider),
        lengths=inner.node("Cast", inner.node("Squeeze", total, axis, role="length"), role="lengths", to=INT32),
    )
