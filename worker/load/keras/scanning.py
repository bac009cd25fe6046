"""Cells that no operator of ONNX knows, as a Scan over time."""

from collections.abc import Sequence

import torch

from service.keras.base import Spec
from service.keras.layers.cells import CellBase, GatedCell, GruCell, LstmCell
from worker.load.builder import Builder
from worker.load.keras.activations import activated
from worker.load.keras.gates import keras_weights
from worker.load.keras.packing import Packing
from worker.load.scanning import Function, Product, Step, lstm_step, scan, split, zeros


def scanned(
    cell: CellBase, build: Builder, fed: tuple[str, int], starts: Sequence[str], packing: Packing | None
) -> tuple[str, tuple[str, ...]]:
    """Put down a cell behind (batch, time, features); return its outputs (batch, time, units) and last states."""
    value, features = fed
    kernel, recurrence, biases = keras_weights(cell, build, features)
    weighted = build.node("MatMul", value, kernel, role="weighted")
    if biases:
        weighted = build.node("Add", weighted, biases[0], role="shifted")
    turned = build.node("Transpose", weighted, role="turned", perm=(1, 0, 2))
    running = build.node("Transpose", packing.running(build), role="running", perm=(1, 0, 2)) if packing else ""
    begun = starts or [zeros(build, value, (cell.units,), f"start{index}") for index in range(cell.states)]
    steps, lasts = scan(build, begun, turned, running, _step(cell, build, recurrence, biases))
    return build.node("Transpose", steps, role="back", perm=(1, 0, 2)), lasts


def function(spec: Spec) -> Function:
    """Return what puts an activation of a config down."""
    return lambda inner, value, role: activated(spec, inner, value, role)


def _step(cell: CellBase, build: Builder, recurrence: str, biases: Sequence[str]) -> Step:
    def product(inner: Builder, state: str) -> str:
        return inner.node("MatMul", state, recurrence, role="recurrent")

    if isinstance(cell, LstmCell):
        return lstm_step(function(cell.recurrent_activation), function(cell.activation), product, axis=-1)
    if isinstance(cell, GruCell):
        return _reset_after(cell, product, biases) if cell.reset_after else _reset_before(cell, build, recurrence)

    def simple(inner: Builder, states: Sequence[str], seen: str) -> list[str]:
        total = inner.node("Add", seen, product(inner, states[0]), role="sum")
        return [activated(cell.activation, inner, total, "state")]

    return simple


def _reset_after(cell: GruCell, product: Product, biases: Sequence[str]) -> Step:
    def step(inner: Builder, states: Sequence[str], seen: str) -> list[str]:
        recalled = product(inner, states[0])
        if len(biases) > 1:
            recalled = inner.node("Add", recalled, biases[1], role="recalled")
        x_update, x_reset, x_new = split(inner, seen, ("update", "reset", "new"), "fed", -1)
        h_update, h_reset, h_new = split(inner, recalled, ("update", "reset", "new"), "remembered", -1)
        update = _gate(cell, inner, x_update, h_update, "update")
        reset = _gate(cell, inner, x_reset, h_reset, "reset")
        total = inner.node("Add", x_new, inner.node("Mul", reset, h_new, role="let_through"), role="sum")
        return [_mixed(cell, inner, update, states[0], total)]

    return step


def _reset_before(cell: GruCell, build: Builder, recurrence: str) -> Step:
    sizes = build.constant("split", torch.tensor([2 * cell.units, cell.units]))
    gates, candidate = build.nodes("Split", recurrence, sizes, role="kernels", outputs=("gates", "new"), axis=1)

    def step(inner: Builder, states: Sequence[str], seen: str) -> list[str]:
        x_update, x_reset, x_new = split(inner, seen, ("update", "reset", "new"), "fed", -1)
        recalled = inner.node("MatMul", states[0], gates, role="recalled")
        h_update, h_reset = split(inner, recalled, ("update", "reset"), "remembered", -1)
        update = _gate(cell, inner, x_update, h_update, "update")
        reset = _gate(cell, inner, x_reset, h_reset, "reset")
        open_ = inner.node("Mul", reset, states[0], role="let_through")
        total = inner.node("Add", x_new, inner.node("MatMul", open_, candidate, role="recurrent"), role="sum")
        return [_mixed(cell, inner, update, states[0], total)]

    return step


def _gate(cell: GatedCell, inner: Builder, fed: str, recalled: str, role: str) -> str:
    total = inner.node("Add", fed, recalled, role=f"{role}.sum")
    return activated(cell.recurrent_activation, inner, total, role)


def _mixed(cell: GatedCell, inner: Builder, update: str, state: str, total: str) -> str:
    """Put down update · state + (1 - update) · candidate."""
    candidate = activated(cell.activation, inner, total, "candidate")
    rest = inner.node("Sub", inner.constant("one", torch.tensor(1.0)), update, role="rest")
    old = inner.node("Mul", update, state, role="old")
    return inner.node("Add", old, inner.node("Mul", rest, candidate, role="new"), role="state")
