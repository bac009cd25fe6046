"""Recurrent layers and attention, against torch.nn with the same weights."""

import pytest
import torch
from torch import Tensor, nn

from tests.load.described import SEQUENCE, build, compute, draw, fill
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
    found = {}
    for index in range(layers):
        path = f"r/layer{index}" if layers > 1 else "r"
        for direction, suffix in enumerate(("", "_reverse")):
            kernel, steps, bias = (graph.parameters[f"{path}.{role}"].value for role in ("kernel", "recurrent", "bias"))
            if direction >= len(kernel):
                continue
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


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_torchs(causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    graph = build([{"kind": "self_attention", "heads": 2, "causal": causal, "name": "a"}], SEQUENCE)
    held = {name.removeprefix("a."): each.value for name, each in graph.parameters.items()}
    parts = ("query", "key", "value")
    weights = {
        "in_proj_weight": torch.cat([held[f"{part}.kernel"].T for part in parts]),
        "in_proj_bias": torch.cat([held[f"{part}.bias"] for part in parts]),
        "out_proj.weight": held["output.kernel"].T,
        "out_proj.bias": held["output.bias"],
    }
    module = fill(nn.MultiheadAttention(8, 2, batch_first=True), weights)
    value = draw(SEQUENCE)
    mask = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
    expected = module(value, value, value, attn_mask=mask, need_weights=False)[0]
    torch.testing.assert_close(compute(graph, value), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_block_is_torchs_encoder_layer(norm: str) -> None:
    graph = build([{"kind": "transformer_block", "heads": 2, "hidden": 20, "norm": norm, "name": "t"}], SEQUENCE)
    held = {name.removeprefix("t/"): each.value for name, each in graph.parameters.items()}
    parts = ("query", "key", "value")
    weights = {
        "self_attn.in_proj_weight": torch.cat([held[f"attention/self.{part}.kernel"].T for part in parts]),
        "self_attn.in_proj_bias": torch.cat([held[f"attention/self.{part}.bias"] for part in parts]),
        "self_attn.out_proj.weight": held["attention/self.output.kernel"].T,
        "self_attn.out_proj.bias": held["attention/self.output.bias"],
        "linear1.weight": held["feed_forward/wide.kernel"].T,
        "linear1.bias": held["feed_forward/wide.bias"],
        "linear2.weight": held["feed_forward/narrow.kernel"].T,
        "linear2.bias": held["feed_forward/narrow.bias"],
        "norm1.weight": held["attention/norm.scale"],
        "norm1.bias": held["attention/norm.shift"],
        "norm2.weight": held["feed_forward/norm.scale"],
        "norm2.bias": held["feed_forward/norm.shift"],
    }
    form = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": norm == "pre"}
    module = fill(nn.TransformerEncoderLayer(8, 2, 20, **form), weights)
    torch.testing.assert_close(compute(graph, draw(SEQUENCE)), module(draw(SEQUENCE)), rtol=1e-5, atol=1e-5)


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


def test_each_gates_recurrent_kernel_is_orthogonal_on_its_own() -> None:
    form = {"kind": "gru", "units": 4, "bidirectional": True, "init": {"recurrent": "orthogonal"}, "name": "r"}
    gates = build([form], SEQUENCE).parameters["r.recurrent"].value.reshape(6, 4, 4)
    torch.testing.assert_close(gates @ gates.transpose(1, 2), torch.eye(4).expand(6, 4, 4), rtol=0, atol=1e-5)
