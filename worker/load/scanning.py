"""Recurrence that no operator of ONNX knows, as a Scan over time.

Whatever does not depend on the state is computed for all steps at once, before.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch

from worker.load.builder import Builder, Parts
from worker.network.graph import Graph
from worker.network.proto import argument

Step: TypeAlias = Callable[[Builder, Sequence[str], str], Sequence[str]]
"""Called with the body's builder, the states, and what was computed before of the step; returns the next states."""
Product: TypeAlias = Callable[[Builder, str], str]
"""Puts down what the recurrent kernel makes of a state."""
Function: TypeAlias = Callable[[Builder, str, str], str]
"""Puts an activation down behind a value, under a role."""


def scan(build: Builder, starts: Sequence[str], fed: str, running: str, step: Step) -> tuple[str, tuple[str, ...]]:
    """Put down a Scan over `fed` (time, batch, …); return the first state after each step, and the last states.

    Where `running` (time, batch, 1, …), a bool, is false, the states stay as they are; "" lets all steps count.
    """
    inner = replace(build.inner("step"), parts=Parts(build.parts.seed))
    states = [f"{inner.path}.before{index}" for index in range(len(starts))]
    seen = [f"{inner.path}.seen", *([f"{inner.path}.counts"] if running else [])]
    after = list(step(inner, states, seen[0]))
    if running:
        pairs = enumerate(zip(after, states, strict=True))
        after = [inner.node("Where", seen[1], new, old, role=f"kept{index}") for index, (new, old) in pairs]
    shown = inner.node("Identity", after[0], role="shown")
    body = Graph(
        nodes=tuple(inner.parts.nodes),
        inputs=tuple(argument(name) for name in (*states, *seen)),
        outputs=(*after, shown),
        parameters={},
        constants=inner.parts.constants,
    )
    outputs = (*(f"state{index}" for index in range(len(starts))), "steps")
    scanned = (fed, running) if running else (fed,)
    *lasts, steps = build.nodes("Scan", *starts, *scanned, outputs=outputs, body=body, num_scan_inputs=len(seen))
    return steps, tuple(lasts)


def zeros(build: Builder, value: str, sizes: Sequence[int], role: str) -> str:
    """Put down zeros of (batch, sizes…), the batch being that of `value`."""
    batch = build.node("Shape", value, role=f"{role}.batch", start=0, end=1)
    rest = build.constant(f"{role}.sizes", torch.tensor(list(sizes)))
    return build.node("ConstantOfShape", build.node("Concat", batch, rest, role=f"{role}.shape", axis=0), role=role)


def lstm_step(gate: Function, squash: Function, product: Product, *, axis: int) -> Step:
    """Return the step of a cell with the gates input, forget, cell, output along an axis."""

    def step(inner: Builder, states: Sequence[str], seen: str) -> list[str]:
        total = inner.node("Add", seen, product(inner, states[0]), role="sum")
        parts = split(inner, total, ("input", "forget", "cell", "output"), "gates", axis)
        enter, keep, leave = (
            gate(inner, parts[place], role) for place, role in ((0, "enter"), (1, "keep"), (3, "leave"))
        )
        new = inner.node("Mul", enter, squash(inner, parts[2], "candidate"), role="new")
        memory = inner.node("Add", inner.node("Mul", keep, states[1], role="old"), new, role="memory")
        return [inner.node("Mul", leave, squash(inner, memory, "squashed"), role="state"), memory]

    return step


def split(inner: Builder, value: str, names: tuple[str, ...], role: str, axis: int) -> tuple[str, ...]:
    """Cut a value in equal parts."""
    return inner.nodes("Split", value, role=role, outputs=names, axis=axis, num_outputs=len(names))
