"""The measure of attention: it finds every softmax over positions, whatever layer it stands in."""

import json
from typing import Any

import pytest

from service.contract.architecture import parse
from tests.probe.subjects import described, normal, with_target
from worker.load.architecture import lower
from worker.probe.attention import measure_attention
from worker.probe.sweep import sweep

EVEN = {"query_init": "zeros"}
"""Queries of nothing: all products are zero, and the weights even."""


def found(layers: list[dict[str, Any]]) -> dict[str, float]:
    """Return the measure of a chain on sequences of 7 steps."""
    measured = measure_attention(sweep(described(layers, (7, 8), size=4)))
    return {name: each.entropy for name, each in measured.items()}


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"causal": True},
        {"groups": 2},
        {"groups": 1, "causal": True, "attention_dropout": 0.1},
        {"rotary": True, "query_key_norm": "rms_norm"},
        {"width": 3, "value_width": 5, "bias": False},
    ],
    ids=str,
)
def test_even_weights_keep_all_entropy(form: dict[str, Any]) -> None:
    layer = {"kind": "self_attention", "heads": 4, "name": "look", **EVEN, **form}
    assert found([layer]) == {"look.softmax": pytest.approx(1.0, abs=1e-5)}


def test_sharp_weights_keep_hardly_any() -> None:
    sharp = {"law": "normal", "std": 30}
    layer = {"kind": "self_attention", "heads": 4, "name": "look", "query_init": sharp, "key_init": sharp}
    assert found([layer])["look.softmax"] < 0.1


def test_each_block_has_its_own() -> None:
    block = {"kind": "transformer_block", "heads": 2, "name": "block", "attention_dropout": 0.2}
    layers = [{"kind": "repeat", "times": 3, "name": "stack", "layers": [block]}, {"kind": "softmax"}]
    assert list(found(layers)) == [f"stack[{time}]/block/attention/self.softmax" for time in range(3)]


def test_a_decoder_has_two() -> None:
    document = {
        "gradgate": "1",
        "inputs": {"target": {"shape": [7, 8]}, "memory": {"shape": [5, 8]}},
        "nodes": [
            {"kind": "transformer_decoder", "name": "decode", "heads": 2, "inputs": ["target", "memory"]},
            {"kind": "cross_attention", "name": "look", "heads": 2, "inputs": ["decode", "memory"]},
        ],
    }
    graph = lower(parse(json.dumps(document).encode()), seed=0)
    subject = with_target(graph, {"target": normal(4, 7, 8), "memory": normal(4, 5, 8, seed=1)})
    names = ["decode/attention/self.softmax", "decode/memory/cross.softmax", "look.softmax"]
    assert list(measure_attention(sweep(subject))) == names
