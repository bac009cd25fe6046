"""Recurrent layers: ONNX's LSTM, GRU and RNN, one per cell, which want the time first; a Scan for other cells."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch

from service.keras.activations import activation
from service.keras.base import Call
from service.keras.layers.cells import CellBase, GruCell, StackedCells
from service.keras.layers.recurrent import RecurrentBase, Walk, Walking, walk
from worker.load.builder import Builder
from worker.load.keras import Signal, lowers
from worker.load.keras.gates import cell_weights, inside, operator
from worker.load.keras.packing import Packing, flipped, pack
from worker.load.keras.scanning import scanned

_FUNCTIONS: Final[dict[str, tuple[str, float | None, float | None]]] = {
    "elu": ("Elu", 1.0, None),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "leaky_relu": ("LeakyRelu", 0.2, None),
    "linear": ("Affine", 1.0, 0.0),
    "relu": ("Relu", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "softplus": ("Softplus", None, None),
    "softsign": ("Softsign", None, None),
    "tanh": ("Tanh", None, None),
}
"""ONNX's name of each function, with its alpha and beta where it has one."""
_SLOPES: Final = ("alpha", "negative_slope", "slope")
"""What a config may call alpha."""
_USUAL: Final = (["tanh"], ["sigmoid", "tanh"])


class Walked(NamedTuple):
    """What one cell's operator gives."""

    steps: str
    """Each step's output (batch, time, units); "" where nobody asked."""
    states: tuple[str, ...]
    """The last states, (batch, units) each, the output first; none where nobody asked."""


@lowers("SimpleRNN", "LSTM", "GRU", "RNN")
def recurrent(layer: RecurrentBase, build: Builder, call: Call[Signal]) -> tuple[Signal, ...]:
    """One operator per cell, each fed by the one before it; masked steps are left out and put back behind."""
    parts = walk(call, build.pointer)
    mask = parts.mask.value if parts.mask is not None else parts.sequence.mask
    packing = pack(build, mask, backwards=layer.go_backwards) if mask else None
    value = flipped(build, parts.sequence.value, "turned_round") if layer.go_backwards else parts.sequence.value
    value = packing.packed(build, value) if packing else value
    walked = list(_cells(layer, build, value, parts, packing))
    found = walked[-1].steps, "" if layer.return_sequences else walked[-1].states[0]
    shown = shown_of(layer, build, found, packing, started=bool(parts.states))
    shape, *shapes = layer.outputs(call, build.pointer)
    given = Signal(shape, value=shown, mask=mask if layer.return_sequences else None)
    states = [state for each in walked for state in each.states]
    return (given, *(Signal(each, value=state) for each, state in zip(shapes, states, strict=False)))


@lowers("SimpleRNNCell", "LSTMCell", "GRUCell")
def one_step(cell: CellBase, build: Builder, call: Call[Signal]) -> tuple[str, ...]:
    """A cell by itself: the operator walks one step."""
    step = build.node("Unsqueeze", call.one.value, build.constant("time", torch.tensor([1])), role="step")
    starts = [each.value for each in call.of("states")]
    made = _walked(cell, build, (step, call.one.shape[-1] or 0), starts, None, steps=False, states=True)
    return (made.states[0], *made.states)


@lowers("StackedRNNCells")
def stacked(layer: StackedCells, build: Builder, call: Call[Signal]) -> tuple[str, ...]:
    """Refuse: such a stack is lowered cell by cell within an RNN."""
    layer.outputs(call, build.pointer)
    return ()


def _cells(layer: RecurrentBase, build: Builder, value: str, parts: Walk, packing: Packing | None) -> Iterator[Walked]:
    """Put down every cell's operator."""
    names: set[str] = set()
    features, starts = parts.sequence.shape[-1], parts.states
    for index, (cell, place) in enumerate(layer.cells):
        last = index == len(layer.cells) - 1
        walked = _walked(
            cell,
            _builder(build, cell, place, names),
            (value, features),
            [each.value for each in starts[: cell.states]],
            packing,
            steps=not last or layer.return_sequences,
            states=layer.return_state or (last and not layer.return_sequences),
        )
        yield walked
        value, features, starts = walked.steps, cell.units, starts[cell.states :]


def _builder(build: Builder, cell: CellBase, place: str, names: set[str]) -> Builder:
    """Return where a cell's parts go: those of the layer itself, or of a cell within it, under a name of its own."""
    if not place:
        return build
    name = cell.name
    while name in names:
        name += "'"
    names.add(name)
    return inside(build, cell.model_copy(update={"name": name}), place[1:])


def _walked(
    cell: CellBase,
    build: Builder,
    fed: tuple[str, int],
    starts: Sequence[str],
    packing: Packing | None,
    *,
    steps: bool,
    states: bool,
) -> Walked:
    """Put down one operator behind (batch, time, features)."""
    value, features = dropped(build, fed[0], cell.dropout), fed[1]
    if not cell.fused:
        return Walked(*scanned(cell, build, (value, features), starts, packing))
    kernel, recurrence, *bias = cell_weights(cell, build, features)
    turned = build.node("Transpose", value, role="turned", perm=(1, 0, 2))
    axis = build.constant("direction", torch.tensor([0]))
    begun = [build.node("Unsqueeze", each, axis, role=f"start{index}") for index, each in enumerate(starts)]
    inputs = [turned, kernel, recurrence, *(bias or [""]), packing.lengths if packing else "", *begun]
    while not inputs[-1]:
        inputs.pop()
    wanted = ("steps" if steps else "", *(("state", "memory")[: cell.states] if states else ()))
    all_steps, *lasts = build.nodes(operator(cell), *inputs, outputs=wanted, **_attributes(cell))
    if steps:
        alone = build.node("Squeeze", all_steps, build.constant("way", torch.tensor([1])), role="alone")
        all_steps = build.node("Transpose", alone, role="back", perm=(1, 0, 2))
    return Walked(
        all_steps, tuple(build.node("Squeeze", each, axis, role=f"{each.rpartition('.')[2]}.end") for each in lasts)
    )


def _attributes(cell: CellBase) -> dict[str, Any]:
    """Return the operator's attributes; its functions where they are not ONNX's own."""
    attributes: dict[str, Any] = {"hidden_size": cell.units, "direction": "forward"}
    if isinstance(cell, GruCell):
        attributes["linear_before_reset"] = int(cell.reset_after)
    found = [activation(spec, "") for spec in cell.functions.values()]
    if [each.name for each in found] in _USUAL:
        return attributes
    if operator(cell) == "LSTM":
        found.append(found[-1])
    alphas, betas = [], []
    for each in found:
        _, alpha, beta = _FUNCTIONS[each.name]
        if alpha is not None:
            alphas.append(next((float(each.numbers[key]) for key in _SLOPES if key in each.numbers), alpha))
        if beta is not None:
            betas.append(beta)
    attributes["activations"] = tuple(_FUNCTIONS[each.name][0] for each in found)
    return attributes | {
        key: tuple(values) for key, values in (("activation_alpha", alphas), ("activation_beta", betas)) if values
    }


def dropped(build: Builder, value: str, rate: float) -> str:
    """Drop features of (batch, time, features), each sample's the same at all steps; nothing where the rate is 0."""
    if not 0 < rate < 1:
        return value
    bounds = [
        build.constant(f"dropout.{name}", torch.tensor([at])) for name, at in (("from", 0), ("to", 1), ("time", 1))
    ]
    first = build.node("Slice", value, *bounds, role="dropout.step")
    shape = build.node("Shape", first, role="dropout.shape")
    ones = build.node("ConstantOfShape", shape, role="dropout.ones", value=torch.ones(1))
    kept = build.node("Dropout", ones, build.constant("dropout.rate", torch.tensor(rate)), role="dropout")
    return build.node("Mul", value, kept, role="dropped")


def shown_of(layer: Walking, build: Builder, found: tuple[str, str], packing: Packing | None, *, started: bool) -> str:
    """Return what the layer shows of each step's output, or of the last."""
    (steps, last), zero = found, layer.zero_output_for_mask
    if layer.return_sequences:
        return packing.unpacked(build, steps, zero=zero) if packing else steps
    return packing.end(build, last, zero=zero) if packing and (zero or started) else last
