"""Convolutional LSTMs against Shi et al. 2015 (without peepholes), written out with torch."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from service.contract.architecture import parse
from service.contract.problem import Invalid, TooComplex
from tests.load.described import build, compute, draw

FRAMES = (4, 2, 6, 5)


def written_out(weights: dict[str, Tensor], value: Tensor, stride: int, padding: Any) -> Tensor:  # noqa: ANN401
    """Return the states (batch, time, filters, height, width) of an LSTM whose products are convolutions."""
    kernel, steps, bias = (weights[role] for role in ("kernel", "recurrent", "bias"))
    shown, states = [], None
    for now in range(value.shape[1]):
        total = functional.conv2d(value[:, now], kernel, bias, stride=stride, padding=padding)
        if states is not None:
            total = total + functional.conv2d(states[0], steps, padding="same")
        enter, keep, new, leave = total.chunk(4, 1)
        memory = enter.sigmoid() * new.tanh()
        if states is not None:
            memory = memory + keep.sigmoid() * states[1]
        states = leave.sigmoid() * memory.tanh(), memory
        shown.append(states[0])
    return torch.stack(shown, 1)


@pytest.mark.parametrize(
    ("form", "stride", "padding"),
    [({"padding": "same"}, 1, "same"), ({"stride": 2}, 2, 0), ({"padding": 1, "stride": 2}, 2, 1)],
)
def test_a_convolutional_lstm_is_what_its_equations_say(form: dict[str, Any], stride: int, padding: Any) -> None:  # noqa: ANN401
    layer = {"kind": "conv_lstm2d", "filters": 3, "kernel": 3, "name": "c", **form}
    every, last = build([{**layer, "return_sequences": True}], FRAMES), build([layer], FRAMES)
    weights = {role: every.parameters[f"c.{role}"].value for role in ("kernel", "recurrent", "bias")}
    expected = written_out(weights, draw(FRAMES), stride, padding)
    torch.testing.assert_close(compute(every, draw(FRAMES)), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(compute(last, draw(FRAMES)), expected[:, -1], rtol=1e-5, atol=1e-6)


def test_keras_default_draws_all_gates_as_one() -> None:
    layer = {"kind": "conv_lstm2d", "filters": 6, "kernel": 3, "init": "keras_default", "name": "c"}
    graph = build([layer], FRAMES)
    kernel, steps, bias = (graph.parameters[f"c.{role}"].value for role in ("kernel", "recurrent", "bias"))
    bound = (6 / (9 * 2 + 9 * 24)) ** 0.5
    assert 0.95 * bound < kernel.abs().max() <= bound
    matrix = steps.permute(2, 3, 1, 0).reshape(54, 24)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(24), rtol=0, atol=1e-5)
    assert bias.reshape(4, 6).sum(1).tolist() == [0, 6, 0, 0]


def test_each_gates_kernel_follows_its_law() -> None:
    init = {"kernel": "he_normal", "recurrent": "orthogonal", "bias": "zeros"}
    layer = {"kind": "conv_lstm2d", "filters": 4, "kernel": 3, "init": init, "forget_bias": 2, "name": "c"}
    graph = build([layer], FRAMES)
    for gate in graph.parameters["c.recurrent"].value.reshape(4, 4, 36):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4), rtol=0, atol=1e-5)
    assert graph.parameters["c.bias"].value.reshape(4, 4)[:, 0].tolist() == [0, 2, 0, 0]


@pytest.mark.parametrize(
    ("shape", "form", "problem", "pointer"),
    [
        ([7, 8], {}, Invalid, "/layers/0"),
        ([4, 2, 2, 5], {}, Invalid, "/layers/0/kernel"),
        ([4, 2, 6, 5], {"init": "delta_orthogonal", "filters": 1}, Invalid, "/layers/0/init/kernel"),
        ([64, 1, 256, 256], {"filters": 64, "padding": "same"}, TooComplex, "/layers/0"),
    ],
)
def test_what_does_not_fit_is_refused(
    shape: list[int], form: dict[str, Any], problem: type[Exception], pointer: str
) -> None:
    layer = {"kind": "conv_lstm2d", "filters": 3, "kernel": 3, **form}
    with pytest.raises(problem) as caught:
        parse(json.dumps({"gradgate": "1", "input": {"shape": shape}, "layers": [layer]}).encode())
    assert caught.value.pointer == pointer  # type: ignore[attr-defined]
