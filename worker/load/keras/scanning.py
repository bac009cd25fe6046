"""Cells that no operator of ONNX knows, as a Scan over time.

Whatever does not depend on the state is computed for all steps at once, before.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch

from service.keras.base import Spec
from service.keras.layers.recurrent import CellBase, GatedCell, GruCell, LstmCell
from worker.load.builder import Builder, Parts
from worker.load.keras.activations import activated
from worker.load.keras.gates import kerass_weights
from worker.load.keras.packing import Packing
from worker.network.graph import Graph
from worker.network.proto import argument

Step: TypeAlias = Callable[[Builder, Sequence[str], str], Sequence[str]]
"""Called with the body's builder, the states, and what was computed before of the step; returns the next states."""
Product: TypeAlias = Callable[[Builder, str], str]
"""Puts down what the recurrent kernel makes of a state."""


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


def scanned(
    cell: CellBase, build: Builder, fed: tuple[str, int], starts: Sequence[str], packing: Packing | None
) -> tuple[str, tuple[str, ...]]:
    """Put down a cell behind (batch, time, features); return its outputs (batch, time, units) and last states."""
    value, features = fed
    kernel, recurrence, biases = kerass_weights(cell, build, features)
    weighted = build.node("MatMul", value, kernel, role="weighted")
    if biases:
        weighted = build.node("Add", weighted, biases[0], role="shifted")
    turned = build.node("Transpose", weighted, role="turned", perm=(1, 0, 2))
    running = build.node("Transpose", packing.running(build), role="running", perm=(1, 0, 2)) if packing else ""
    begun = starts or [zeros(build, value, (cell.units,), f"start{index}") for index in range(cell.states)]
    steps, lasts = scan(build, begun, turned, running, _step(cell, build, recurrence, biases))
    return build.node("Transpose", steps, role="back", perm=(1, 0, 2)), lasts


def _step(cell: CellBase, build: Builder, recurrence: str, biases: Sequence[str]) -> Step:
    def product(inner: Builder, state: str) -> str:
        return inner.node("MatMul", state, recurrence, role="recurrent")

    if isinstance(cell, LstmCell):
        return lstm_step(cell.recurrent_activation, cell.activation, product, axis=-1)
    if isinstance(cell, GruCell):
        return _reset_after(cell, product, biases) if cell.reset_after else _reset_before(cell, build, recurrence)

    def simple(inner: Builder, states: Sequence[str], seen: str) -> list[str]:
        total = inner.node("Add", seen, product(inner, states[0]), role="sum")
        return [activated(cell.activation, inner, total, "state")]

    return simple


def lstm_step(gate: Spec, squash: Spec, product: Product, *, axis: int) -> Step:
    """Return the step of a cell with the gates input, forget, cell, output along an axis."""

    def step(inner: Builder, states: Sequence[str], seen: str) -> list[str]:
        total = inner.node("Add", seen, product(inner, states[0]), role="sum")
        parts = _split(inner, total, ("input", "forget", "cell", "output"), "gates", axis)
        enter, keep, leave = (
            activated(gate, inner, parts[place], role) for place, role in ((0, "enter"), (1, "keep"), (3, "leave"))
        )
        new = inner.node("Mul", enter, activated(squash, inner, parts[2], "candidate"), role="new")
        memory = inner.node("Add", inner.node("Mul", keep, states[1], role="old"), new, role="memory")
        return [inner.node("Mul", leave, activated(squash, inner, memory, "squashed"), role="state"), memory]

    return step


def _reset_after(cell: GruCell, product: Product, biases: Sequence[str]) -> Step:
    def step(inner: Builder, states: Sequence[str], seen: str) -> list[str]:
        recalled = product(inner, states[0])
        if len(biases) > 1:
            recalled = inner.node("Add", recalled, biases[1], role="recalled")
        x_update, x_reset, x_new = _split(inner, seen, ("update", "reset", "new"), "fed", -1)
        h_update, h_reset, h_new = _split(inner, recalled, ("update", "reset", "new"), "remembered", -1)
        update = _gate(cell, inner, x_update, h_update, "update")
        reset = _gate(cell, inner, x_reset, h_reset, "reset")
        total = inner.node("Add", x_new, inner.node("Mul", reset, h_new, role="let_through"), role="sum")
        return [_mixed(cell, inner, update, states[0], total)]

    return step


def _reset_before(cell: GruCell, build: Builder, recurrence: str) -> Step:
    sizes = build.constant("split", torch.tensor([2 * cell.units, cell.units]))
    gates, candidate = build.nodes("Split", recurrence, sizes, role="kernels", outputs=("gates", "new"), axis=1)

    def step(inner: Builder, states: Sequence[str], seen: str) -> list[str]:
        x_update, x_reset, x_new = _split(inner, seen, ("update", "reset", "new"), "fed", -1)
        recalled = inner.node("MatMul", states[0], gates, role="recalled")
        h_update, h_reset = _split(inner, recalled, ("update", "reset"), "remembered", -1)
        update = _gate(cell, inner, x_update, h_update, "update")
        reset = _gate(cell, inner, x_reset, h_reset, "reset")
        open_ = inner.node("Mul", reset, states[0], role="let_through")
        total = inner.node("Add", x_new, inner.node("MatMul", open_, candidate, role="recurrent"), role="sum")
        return [_mixed(cell, inner, update, states[0], total)]

    return step


def _split(inner: Builder, value: str, names: tuple[str, ...], role: str, axis: int) -> tuple[str, ...]:
    return inner.nodes("Split", value, role=role, outputs=names, axis=axis, num_outputs=len(names))


def _gate(cell: GatedCell, inner: Builder, fed: str, recalled: str, role: str) -> str:
    total = inner.node("Add", fed, recalled, role=f"{role}.sum")
    return activated(cell.recurrent_activation, inner, total, role)


def _mixed(cell: GatedCell, inner: Builder, update: str, state: str, total: str) -> str:
    """Put down update · state + (1 - update) · candidate."""
    candidate = activated(cell.activation, inner, total, "candidate")
    rest = inner.node("Sub", inner.constant("one", torch.tensor(1.0)), update, role="rest")
    old = inner.node("Mul", update, state, role="old")
    return inner.node("Add", old, inner.node("Mul", rest, candidate, role="new"), role="state")
