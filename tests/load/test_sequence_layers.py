"""Attention, against torch.nn with the same weights."""

import pytest
import torch
from torch import nn

from tests.load.described import SEQUENCE, build, compute, draw, fill


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
