"""The gain along time: of operators, of scans, and of recurrences written out step by step."""

import math

import pytest
import torch
from torch import Tensor

from tests.probe.subjects import by_hand, dense, described, node, normal
from worker.probe.along_time import measure_recurrent
from worker.probe.fronts import fronts
from worker.probe.sweep import sweep
from worker.subject import Subject

STEPS = 10
WIDTH = 16


def unrolled(scale: float) -> Subject:
    """h ← tanh(x_t w + h r), r orthogonal times a scale, written out as an exporter does; near zero tanh is linear."""
    nodes = []
    state = ""
    for step in range(STEPS):
        nodes.append(node("MatMul", f"x{step} w", f"in{step}"))
        if state:
            nodes += [node("MatMul", f"{state} r", f"back{step}"), node("Add", f"in{step} back{step}", f"both{step}")]
        nodes.append(node("Tanh", f"both{step}" if state else "in0", f"h{step}"))
        state = f"h{step}"
    nodes.append(node("MatMul", f"{state} head", "y"))
    recurrent = scale * torch.linalg.qr(normal(WIDTH, WIDTH, seed=1))[0]
    parameters = {"w": normal(4, WIDTH), "r": recurrent, "head": normal(WIDTH, 3)}
    inputs: dict[str, Tensor] = {f"x{step}": 1e-4 * normal(32, 4, seed=step) for step in range(STEPS)}
    return by_hand(nodes, parameters, inputs)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_steps_that_were_written_out_are_time_and_not_depth(scale: float) -> None:
    """Nine uses of r, of which the first state is given: eight steps from the last state to the first."""
    run = sweep(unrolled(scale))
    (found,) = measure_recurrent(run)
    assert found.steps == STEPS - 1
    assert found.total == pytest.approx(2 * (STEPS - 2) * math.log(scale), abs=0.02)
    assert found.rate == pytest.approx(2 * math.log(scale), abs=0.003)
    assert len(fronts(run.path)) <= 2


def test_a_layer_that_is_repeated_on_its_own_output_is_depth() -> None:
    """Universal Transformers and ALBERT share weights between layers: nothing new is read on the way."""
    nodes = [node("MatMul", "x w", "h0")]
    for step in range(STEPS):
        nodes += [node("MatMul", f"h{step} r", f"b{step}"), node("Add", f"h{step} b{step}", f"h{step + 1}")]
    nodes.append(node("MatMul", f"h{STEPS} head", "y"))
    parameters = {"w": normal(4, WIDTH), "r": normal(WIDTH, WIDTH) / 8, "head": normal(WIDTH, 3)}
    run = sweep(by_hand(nodes, parameters, {"x": normal(32, 4)}))
    assert measure_recurrent(run) == ()
    assert len(fronts(run.path)) == STEPS + 1


def test_twins_that_share_a_weight_side_by_side_are_no_recurrence() -> None:
    nodes = [node("MatMul", f"x{at} w", f"h{at}") for at in range(6)]
    nodes += [node("Sum", " ".join(f"h{at}" for at in range(6)), "sum"), node("MatMul", "sum head", "y")]
    inputs = {f"x{at}": normal(32, 4, seed=at) for at in range(6)}
    run = sweep(by_hand(nodes, {"w": normal(4, WIDTH), "head": normal(WIDTH, 3)}, inputs))
    assert measure_recurrent(run) == ()


@pytest.mark.parametrize(
    ("layer", "shape", "op"),
    [
        ({"kind": "lstm", "units": 8}, (7, 4), "LSTM"),
        ({"kind": "gru", "units": 8}, (7, 4), "GRU"),
        ({"kind": "conv_lstm2d", "filters": 3, "kernel": 3}, (7, 2, 5, 5), "Scan"),
    ],
)
def test_operators_and_scans_alike_have_a_gain_along_their_steps(
    layer: dict[str, object], shape: tuple[int, ...], op: str
) -> None:
    (found,) = measure_recurrent(sweep(described([layer, {"kind": "flatten"}, dense(3)], shape)))
    assert (found.op, found.steps) == (op, 7)
    assert -20 < found.total < 0
    assert found.horizon == pytest.approx(2 / abs(found.rate))


def test_a_state_that_is_carried_on_unchanged_neither_grows_nor_fades() -> None:
    """An LSTM whose forget gate is open: of [h, c], c comes back whole."""
    init = {"kernel": "zeros", "recurrent": "zeros", "bias": "zeros"}
    subject = described([{"kind": "lstm", "units": 8, "forget_bias": 30.0, "init": init}, dense(3)], (7, 4))
    (found,) = measure_recurrent(sweep(subject))
    assert found.total == pytest.approx(math.log(1 / 2), abs=0.5)
