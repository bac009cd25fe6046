"""The transformer's layers, against torch.nn's with the same weights."""

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.load.described import SEQUENCE, build, compute, draw, fill
from tests.load.test_attention import MEMORY, answer, close, joined, shaken, torchs, weights

SILENT = {"dropout": 0.0, "batch_first": True}


def fed(held: dict[str, Tensor], norm: str) -> dict[str, Tensor]:
    """Return the feed-forward branch's weights under the names that torch gives them."""
    names = {"linear1": "wide", "linear2": "narrow"}
    kernels = {f"{name}.weight": held[f"feed_forward/{part}.kernel"].T for name, part in names.items()}
    biases = {f"{name}.bias": held[f"feed_forward/{part}.bias"] for name, part in names.items()}
    return {**kernels, **biases, **normed(held, "feed_forward", norm)}


def normed(held: dict[str, Tensor], branch: str, norm: str) -> dict[str, Tensor]:
    """Return the weights of one branch's norm."""
    return {f"{norm}.weight": held[f"{branch}/norm.scale"], f"{norm}.bias": held[f"{branch}/norm.shift"]}


def under(held: dict[str, Tensor], path: str) -> dict[str, Tensor]:
    """Return the weights below a path."""
    return {name.removeprefix(path): value for name, value in held.items() if name.startswith(path)}


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_transformer_encoder_is_torchs(norm: str, activation: str) -> None:
    form = {"kind": "transformer_encoder", "heads": 2, "hidden": 20, "norm": norm, "activation": activation}
    graph = shaken(build([{**form, "name": "t"}], SEQUENCE))
    held = weights(graph, "t/")
    attention = torchs(under(held, "attention/self."), "self_attn.")
    module = nn.TransformerEncoderLayer(8, 2, 20, activation=activation, norm_first=norm == "pre", **SILENT)
    values = {**attention, **normed(held, "attention", "norm1"), **fed(held, "norm2")}
    close(compute(graph, draw(SEQUENCE)), fill(module, values)(draw(SEQUENCE)))


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("causal", [True, False])
def test_transformer_decoder_is_torchs(norm: str, causal: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    form = {"kind": "transformer_decoder", "heads": 2, "hidden": 20, "norm": norm, "causal": causal}
    graph = shaken(joined(form, SEQUENCE, (5, 8)))
    held = weights(graph, "n/")
    values = {
        **torchs(under(held, "attention/self."), "self_attn."),
        **torchs(under(held, "memory/cross."), "multihead_attn."),
        **normed(held, "attention", "norm1"),
        **normed(held, "memory", "norm2"),
        **fed(held, "norm3"),
    }
    module = fill(nn.TransformerDecoderLayer(8, 2, 20, activation="gelu", norm_first=norm == "pre", **SILENT), values)
    target, memory = draw(SEQUENCE), draw((5, 8), seed=1)
    mask = nn.Transformer.generate_square_subsequent_mask(7) if causal else None
    close(answer(graph, target, memory), module(target, memory, tgt_mask=mask))


def test_a_decoder_reads_a_memory_of_another_width() -> None:
    graph = joined({"kind": "transformer_decoder", "heads": 2}, SEQUENCE, MEMORY)
    assert graph.parameters["n/memory/cross.key.kernel"].value.shape == (6, 8)
    assert answer(graph, draw(SEQUENCE), draw(MEMORY)).shape == (5, *SEQUENCE)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("glu", torch.sigmoid),
        ("reglu", torch.relu),
        ("geglu", functional.gelu),
        ("swiglu", functional.silu),
    ],
)
def test_gated_feed_forward_parts_are_shazeers(activation: str, function: Any) -> None:  # noqa: ANN401  a function
    """FFN(x) = (f(xW) * xV) W₂, without biases, behind an RMS norm; attention adds nothing."""
    form = {"heads": 2, "hidden": 12, "activation": activation, "norm_kind": "rms_norm", "bias": False}
    graph = build([{"kind": "transformer_block", "name": "t", "output_init": "zeros", **form}], SEQUENCE)
    held, value = weights(graph, "t/feed_forward/"), draw(SEQUENCE)
    given = functional.rms_norm(value, (8,), eps=1e-5)
    expected = value + (function(given @ held["gate.kernel"]) * (given @ held["wide.kernel"])) @ held["narrow.kernel"]
    close(compute(graph, value), expected)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("gelu_tanh", lambda value: functional.gelu(value, approximate="tanh")),
        ("silu", functional.silu),
        ("mish", functional.mish),
        ("selu", functional.selu),
        ("tanh", torch.tanh),
    ],
)
def test_feed_forward_parts_take_other_activations(activation: str, function: Any) -> None:  # noqa: ANN401  a function
    form = {"heads": 2, "norm": "none", "activation": activation, "output_init": "zeros", "bias": False}
    graph = build([{"kind": "transformer_block", "name": "t", **form}], SEQUENCE)
    held, value = weights(graph, "t/feed_forward/"), draw(SEQUENCE)
    close(compute(graph, value), value + function(value @ held["wide.kernel"]) @ held["narrow.kernel"])


@pytest.mark.parametrize("kind", ["transformer_block", "transformer_decoder"])
def test_branches_that_end_in_zeros_start_as_the_identity(kind: str) -> None:
    form = {"kind": kind, "heads": 2, "branch_init": "zeros", "init": "xavier_uniform"}
    if kind == "transformer_block":
        assert torch.equal(compute(build([form], SEQUENCE), draw(SEQUENCE)), draw(SEQUENCE))
    else:
        assert torch.equal(answer(joined(form, SEQUENCE, MEMORY), draw(SEQUENCE), draw(MEMORY)), draw(SEQUENCE))


def test_gpt_2s_start_can_be_described() -> None:
    """Normal of 0.02; 0.02 / √(2 · 12) for the kernels that end a branch."""
    last = {"law": "normal", "std": 0.02 / sqrt(24)}
    form = {"heads": 4, "init": {"law": "normal", "std": 0.02}, "branch_init": last, "name": "t"}
    held = weights(build([{"kind": "transformer_block", **form}], (3, 128)), "t/")
    spread = {name: value.std().item() for name, value in held.items() if name.endswith("kernel")}
    ends = {"attention/self.output.kernel", "feed_forward/narrow.kernel"}
    assert ends < spread.keys()
    for name, found in spread.items():
        assert found == pytest.approx(0.02 / sqrt(24) if name in ends else 0.02, rel=0.05)


def test_dropout_stands_on_weights_activations_and_branches() -> None:
    rates = {"dropout": 0.1, "attention_dropout": 0.2, "activation_dropout": 0.3}
    graph = build([{"kind": "transformer_block", "heads": 2, **rates}], SEQUENCE)
    found = [float(graph.constants[node.inputs[1]]) for node in graph.nodes if node.op == "Dropout"]
    assert found == pytest.approx([0.2, 0.1, 0.3, 0.1])


def test_every_part_of_a_block_is_placed_at_the_block() -> None:
    graph = build([{"kind": "transformer_block", "heads": 2, "name": "t"}], SEQUENCE)
    assert {each.origin for each in (*graph.nodes, *graph.parameters.values())} == {'layers/0 "t" (transformer_block)'}
