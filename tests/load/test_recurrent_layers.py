"""Recurrent layers, against torch.nn with the same weights."""

import json
from collections.abc import Callable
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from service.contract.architecture import parse
from service.contract.problem import Invalid, TooComplex
from tests.load.described import SEQUENCE, build, compute, draw, fill
from worker.network.export import to_onnx
from worker.network.graph import Graph

ORDERS = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
"""Where torch's gates stand in torch's order, for each of ONNX's: its LSTM has i o f c, torch i f g o; GRU z r h."""


def torchs_order(kind: str, value: Tensor) -> Tensor:
    """Return gates in ONNX's order in torch's."""
    gates = value.chunk(len(ORDERS[kind]))
    placed = dict(zip(ORDERS[kind], gates, strict=True))
    return torch.cat([placed[index] for index in range(len(gates))])


def torchs_weights(kind: str, graph: Graph, layers: int) -> dict[str, Tensor]:
    """Return a recurrent layer's weights under torch's names."""
    found: dict[str, Tensor] = {}
    for index in range(layers):
        found |= one_layer(kind, graph, f"r/layer{index}" if layers > 1 else "r", index)
    return found


def one_layer(kind: str, graph: Graph, path: str, index: int = 0) -> dict[str, Tensor]:
    """Return the weights of one operator under torch's names for its layer `index`."""
    kernel, steps, bias = (graph.parameters[f"{path}.{role}"].value for role in ("kernel", "recurrent", "bias"))
    found = {}
    for direction, suffix in zip(range(len(kernel)), ("", "_reverse"), strict=False):
        first, second = bias[direction].chunk(2)
        found[f"weight_ih_l{index}{suffix}"] = torchs_order(kind, kernel[direction])
        found[f"weight_hh_l{index}{suffix}"] = torchs_order(kind, steps[direction])
        found[f"bias_ih_l{index}{suffix}"] = torchs_order(kind, first)
        found[f"bias_hh_l{index}{suffix}"] = torchs_order(kind, second)
    return found


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_are_torchs(kind: str, layers: int, bidirectional: bool) -> None:  # noqa: FBT001  pytest's
    form = {"kind": kind, "units": 5, "layers": layers, "bidirectional": bidirectional, "name": "r"}
    module = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](
        8, 5, num_layers=layers, bidirectional=bidirectional, batch_first=True
    )
    every = build([{**form, "return_sequences": True}], SEQUENCE)
    last = build([form], SEQUENCE)
    states, final = fill(module, torchs_weights(kind, every, layers))(draw(SEQUENCE))
    final = final[0] if kind == "lstm" else final
    expected = torch.cat(list(final[-1 - bidirectional :]), dim=1)
    torch.testing.assert_close(compute(every, draw(SEQUENCE)), states, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(compute(last, draw(SEQUENCE)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("merge", "join"), [("sum", "sum"), ("ave", "mean"), ("mul", "prod")])
@pytest.mark.parametrize("layers", [1, 2])
def test_directions_are_merged_as_their_name_says(merge: str, join: str, layers: int) -> None:
    """A stack is torch's layers one behind the other, with the merging between."""
    form = {"kind": "gru", "units": 5, "layers": layers, "bidirectional": True, "merge": merge, "name": "r"}
    every, last = build([{**form, "return_sequences": True}], SEQUENCE), build([form], SEQUENCE)
    states = draw(SEQUENCE)
    for index in range(layers):
        path = f"r/layer{index}" if layers > 1 else "r"
        module = nn.GRU(states.shape[-1], 5, bidirectional=True, batch_first=True)
        shown, final = fill(module, one_layer("gru", every, path))(states)
        states = getattr(shown.unflatten(2, (2, 5)), join)(2)
    torch.testing.assert_close(compute(every, draw(SEQUENCE)), states, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(compute(last, draw(SEQUENCE)), getattr(final, join)(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_a_reversed_layer_is_torchs_on_time_turned_round(kind: str) -> None:
    form = {"kind": kind, "units": 5, "reverse": True, "name": "r"}
    every, last = build([{**form, "return_sequences": True}], SEQUENCE), build([form], SEQUENCE)
    module = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](8, 5, batch_first=True)
    states, _ = fill(module, torchs_weights(kind, every, 1))(draw(SEQUENCE).flip(1))
    torch.testing.assert_close(compute(every, draw(SEQUENCE)), states.flip(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(compute(last, draw(SEQUENCE)), states[:, -1], rtol=1e-5, atol=1e-6)


def test_a_grus_reset_gate_may_stand_before_the_product() -> None:
    """Cho et al. 2014, equations 5 to 8, written out."""
    graph = build([{"kind": "gru", "units": 3, "reset_after": False, "name": "r"}], SEQUENCE)
    kernel, steps, bias = (graph.parameters[f"r.{role}"].value[0] for role in ("kernel", "recurrent", "bias"))
    value, state = draw(SEQUENCE), torch.zeros(5, 3)
    for now in range(value.shape[1]):
        seen = (value[:, now] @ kernel.T + bias[:9]).chunk(3, 1)
        recalled = [state @ part.T + shift for part, shift in zip(steps.chunk(3), bias[9:].chunk(3), strict=True)]
        update, reset = (seen[0] + recalled[0]).sigmoid(), (seen[1] + recalled[1]).sigmoid()
        candidate = (seen[2] + (reset * state) @ steps[6:].T + bias[15:]).tanh()
        state = update * state + (1 - update) * candidate
    torch.testing.assert_close(compute(graph, value), state, rtol=1e-5, atol=1e-6)


SQUASHES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": nn.functional.hardsigmoid,
    "relu": torch.relu,
    "leaky_relu": nn.functional.leaky_relu,
    "elu": nn.functional.elu,
    "softsign": nn.functional.softsign,
    "softplus": nn.functional.softplus,
    "linear": lambda value: value,
}


@pytest.mark.parametrize("activation", SQUASHES)
def test_cells_take_every_function(activation: str) -> None:
    function = SQUASHES[activation]
    graph = build([{"kind": "rnn", "units": 5, "activation": activation, "name": "r"}], SEQUENCE)
    kernel, steps, bias = (graph.parameters[f"r.{role}"].value[0] for role in ("kernel", "recurrent", "bias"))
    value, state = draw(SEQUENCE), torch.zeros(5, 5)
    for now in range(value.shape[1]):
        state = function(value[:, now] @ kernel.T + state @ steps.T + bias[:5] + bias[5:])
    torch.testing.assert_close(compute(graph, value), state, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        {"kind": "lstm", "activation": "elu", "recurrent_activation": "hard_sigmoid"},
        {"kind": "lstm", "activation": "leaky_relu", "recurrent_activation": "hard_sigmoid", "bidirectional": True},
        {"kind": "gru", "activation": "softsign", "recurrent_activation": "linear", "reset_after": False},
        {"kind": "gru", "bidirectional": True, "merge": "mul", "layers": 3, "dropout": 0.5, "bias": False},
        {"kind": "rnn", "activation": "softplus", "reverse": True, "layers": 2},
        {"kind": "rnn", "activation": "leaky_relu", "bidirectional": True, "merge": "ave"},
    ],
)
@pytest.mark.parametrize("every", [False, True])
def test_unusual_layers_run_as_onnxruntime_runs_them(layer: dict[str, Any], every: bool) -> None:  # noqa: FBT001
    graph = build([{**layer, "units": 5, "return_sequences": every}], SEQUENCE)
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString())
    expected = torch.from_numpy(session.run(None, {"input": draw(SEQUENCE).numpy()})[0])
    torch.testing.assert_close(compute(graph, draw(SEQUENCE)), expected, rtol=1e-5, atol=1e-6)


def test_states_are_dropped_between_layers_while_training() -> None:
    """Where almost all are dropped, the second layer sees zeros: most samples end in the state that these lead to."""
    layer = {"kind": "rnn", "units": 5, "layers": 2, "dropout": 0.99, "name": "r"}
    graph, whole = build([layer], SEQUENCE), build([{**layer, "dropout": 0}], SEQUENCE)
    torch.testing.assert_close(compute(graph, draw(SEQUENCE)), compute(whole, draw(SEQUENCE)))
    module = fill(nn.RNN(5, 5, batch_first=True), one_layer("rnn", graph, "r/layer1"))
    expected = module(torch.zeros(1, 7, 5))[1][0]
    torch.manual_seed(0)
    dropped = compute(graph, draw(SEQUENCE, 40), training=True)
    assert (dropped - expected).abs().amax(1).lt(1e-5).sum() > 20
    assert not [node for node in build([{**layer, "layers": 1}], SEQUENCE).nodes if node.op == "Dropout"]


def test_gates_are_drawn_one_by_one() -> None:
    init = {"kernel": "xavier_uniform", "recurrent": "orthogonal", "bias": {"law": "constant", "value": 0.25}}
    graph = build([{"kind": "lstm", "units": 40, "init": init, "forget_bias": 1, "name": "r"}], SEQUENCE)
    kernel, steps, bias = (graph.parameters[f"r.{role}"].value[0] for role in ("kernel", "recurrent", "bias"))
    bound = (6 / (8 + 40)) ** 0.5
    assert 0.98 * bound < kernel.abs().max() <= bound
    for gate in steps.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(40), rtol=0, atol=1e-5)
    starts = torch.tensor([0.25, 0.25, 1.25, 0.25, 0, 0, 0, 0])
    assert torch.equal(bias.reshape(8, 40), starts[:, None].expand(8, 40))


def test_keras_default_draws_an_lstm_as_keras_does() -> None:
    """Glorot's bound counts all gates, the recurrent kernel is one matrix of orthonormal rows, the forget bias is 1."""
    graph = build([{"kind": "lstm", "units": 40, "init": "keras_default", "name": "r"}], SEQUENCE)
    kernel, steps, bias = (graph.parameters[f"r.{role}"].value[0] for role in ("kernel", "recurrent", "bias"))
    bound = (6 / (8 + 160)) ** 0.5
    assert 0.98 * bound < kernel.abs().max() <= bound
    torch.testing.assert_close(steps.T @ steps, torch.eye(40), rtol=0, atol=1e-5)
    assert bias.reshape(8, 40).sum(1).tolist() == [0, 0, 40, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("given", "start"), [({}, 1), ({"forget_bias": 0}, 0), ({"forget_bias": 2}, 2)])
def test_a_named_forget_bias_stands_above_keras_default(given: dict[str, float], start: float) -> None:
    graph = build([{"kind": "lstm", "units": 3, "init": "keras_default", "name": "r", **given}], SEQUENCE)
    assert graph.parameters["r.bias"].value.reshape(8, 3)[2].tolist() == [start] * 3


def test_a_layer_of_both_directions_is_not_reversed() -> None:
    layer = {"kind": "lstm", "units": 2, "bidirectional": True, "reverse": True}
    document = {"gradgate": "1", "input": {"shape": [7, 8]}, "layers": [layer]}
    with pytest.raises(Invalid) as caught:
        parse(json.dumps(document).encode())
    assert caught.value.pointer == "/layers/0/reverse"


def test_a_relu_rnn_is_torchs() -> None:
    graph = build([{"kind": "rnn", "units": 5, "activation": "relu", "name": "r"}], SEQUENCE)
    module = fill(nn.RNN(8, 5, nonlinearity="relu", batch_first=True), torchs_weights("rnn", graph, 1))
    torch.testing.assert_close(compute(graph, draw(SEQUENCE)), module(draw(SEQUENCE))[1][0], rtol=1e-5, atol=1e-5)


def test_the_forget_gates_bias_starts_where_the_file_says() -> None:
    """ONNX's gates stand in the order i, o, f, c, and then once more for the recurrent bias."""
    graph = build([{"kind": "lstm", "units": 3, "forget_bias": 1, "init": "xavier_uniform", "name": "r"}], SEQUENCE)
    expected = torch.zeros(1, 8, 3)
    expected[0, 2] = 1
    assert torch.equal(graph.parameters["r.bias"].value.reshape(1, 8, 3), expected)


def test_the_update_gates_bias_starts_where_the_file_says() -> None:
    """ONNX's gates stand in the order z, r, h, and then once more for the recurrent bias; z keeps the state."""
    graph = build([{"kind": "gru", "units": 3, "update_bias": 2, "init": "xavier_uniform", "name": "r"}], SEQUENCE)
    expected = torch.zeros(1, 6, 3)
    expected[0, 0] = 2
    assert torch.equal(graph.parameters["r.bias"].value.reshape(1, 6, 3), expected)


def test_each_gates_recurrent_kernel_is_orthogonal_on_its_own() -> None:
    form = {"kind": "gru", "units": 4, "bidirectional": True, "init": {"recurrent": "orthogonal"}, "name": "r"}
    gates = build([form], SEQUENCE).parameters["r.recurrent"].value.reshape(6, 4, 4)
    torch.testing.assert_close(gates @ gates.transpose(1, 2), torch.eye(4).expand(6, 4, 4), rtol=0, atol=1e-5)


def test_gates_of_all_steps_are_bounded_though_one_step_is_shown() -> None:
    document = {"gradgate": "1", "input": {"shape": [10_000, 8]}, "layers": [{"kind": "lstm", "units": 2000}]}
    with pytest.raises(TooComplex) as caught:
        parse(json.dumps(document).encode())
    assert caught.value.pointer == "/layers/0"
