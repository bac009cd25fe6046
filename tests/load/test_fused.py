"""Fused operators are taken apart into what computes the same, and rules find in the parts what they found before."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from worker.load.fused import APART, taken_apart
from worker.network.graph import Graph, Input, Node
from worker.network.run import Program

Shape = tuple[int, ...]
IMAGE: tuple[Shape, ...] = ((2, 3, 6, 6), (4, 3, 3, 3), (4,))
WORDS: tuple[Shape, ...] = ((2, 5, 8), (2, 5, 8), (8,))
CASES: list[tuple[str, tuple[Shape | None, ...], Mapping[str, Any], list[str]]] = [
    ("FusedGemm", ((3, 4), (5, 4), (5,)), {"activation": "Relu", "transB": 1, "alpha": 0.5}, ["Gemm", "Relu"]),
    ("FusedGemm", ((3, 4), (4, 5)), {"activation": "LeakyRelu", "activation_alpha": 0.3}, ["Gemm", "LeakyRelu"]),
    ("FusedConv", IMAGE, {"activation": "Relu", "pads": (1, 1, 1, 1)}, ["Conv", "Relu"]),
    ("FusedConv", IMAGE, {}, ["Conv"]),
    ("FusedConv", (*IMAGE, (2, 4, 4, 4)), {"activation": "Tanh"}, ["Conv", "Add", "Tanh"]),
    ("FusedConv", (*IMAGE, (2, 4, 4, 4)), {}, ["Conv", "Add"]),
    ("FusedConv", IMAGE, {"activation": "HardSigmoid", "activation_params": (0.3, 0.4)}, ["Conv", "HardSigmoid"]),
    ("FusedConv", IMAGE, {"activation": "Clip", "activation_params": (-0.5, 0.5)}, ["Conv", "Clip"]),
    ("FusedConv", IMAGE, {"activation": "Silu"}, ["Conv", "Sigmoid", "Mul"]),
    ("BiasGelu", ((2, 5, 8), (8,)), {}, ["Add", "Gelu"]),
    ("FastGelu", ((2, 5, 8), (8,)), {}, ["Add", "FastGelu"]),
    ("FastGelu", ((2, 5, 8),), {}, ["FastGelu"]),
    ("QuickGelu", ((2, 5, 8),), {"alpha": 1.0}, ["Sigmoid", "Mul"]),
    ("QuickGelu", ((2, 5, 8),), {}, ["Mul", "Sigmoid", "Mul"]),
    ("SkipLayerNormalization", WORDS, {}, ["Add", "LayerNormalization"]),
    ("SkipLayerNormalization", (*WORDS, (8,)), {"epsilon": 0.1}, ["Add", "LayerNormalization"]),
    ("SkipLayerNormalization", (*WORDS, (8,), (8,)), {}, ["Add", "Add", "LayerNormalization"]),
    ("SkipLayerNormalization", (*WORDS, None, (8,)), {}, ["Add", "Add", "LayerNormalization"]),
    ("SkipSimplifiedLayerNormalization", WORDS, {}, ["Add", "SimplifiedLayerNormalization"]),
    ("SkipSimplifiedLayerNormalization", (*WORDS, (8,)), {}, ["Add", "Add", "SimplifiedLayerNormalization"]),
    ("Attention", ((2, 5, 8), (8, 24), (24,)), {"num_heads": 2}, ["MatMul", "Add", "Split", "MultiHeadAttention"]),
    ("Attention", ((2, 5, 8), (8, 24)), {"num_heads": 2, "scale": 0.1}, ["MatMul", "Split", "MultiHeadAttention"]),
    (
        "Attention",
        ((2, 5, 8), (8, 20), (20,), None, None, (1, 2, 5, 5)),
        {"num_heads": 2, "qkv_hidden_sizes": (8, 8, 4), "unidirectional": 1},
        ["MatMul", "Add", "Split", "MultiHeadAttention"],
    ),
]


def graph(op: str, shapes: tuple[Shape | None, ...], given: Mapping[str, Any], outputs: int = 1) -> Graph:
    names = tuple("" if shape is None else f"x{place}" for place, shape in enumerate(shapes))
    held = {name: torch.randn(shape) for name, shape in zip(names[1:], shapes[1:], strict=True) if shape is not None}
    written = tuple(f"y{place}" for place in range(outputs))
    node = Node(op, names, written, "whole", given, "com.microsoft", origin="the file's")
    return Graph(
        (node,), (Input("x0", torch.float32, shapes[0] or ()),), written, {}, held, {"": 17, "com.microsoft": 1}
    )


@pytest.mark.parametrize("opset", [10, 17])
@pytest.mark.parametrize(("op", "shapes", "given", "expected"), CASES)
def test_the_parts_compute_the_same(
    op: str, shapes: tuple[Shape | None, ...], given: Mapping[str, Any], expected: list[str], opset: int
) -> None:
    whole = replace(graph(op, shapes, given), opsets={"": opset, "com.microsoft": 1})
    apart = taken_apart(whole)
    x = torch.randn(shapes[0] or ())
    torch.testing.assert_close(Program(apart).run({"x0": x})["y0"], Program(whole).run({"x0": x})["y0"])
    if opset == 17:
        assert [node.op for node in apart.nodes] == expected
    assert {node.origin for node in apart.nodes} == {"the file's"}
    assert len({node.name for node in apart.nodes}) == len(apart.nodes)


@pytest.mark.parametrize("op", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
@pytest.mark.parametrize("bias", [None, (8,)])
def test_the_sum_keeps_its_name(op: str, bias: Shape | None) -> None:
    shapes = (*WORDS, (8,), bias) if op == "SkipLayerNormalization" else (*WORDS, bias)
    whole = graph(op, shapes, {}, outputs=4).replace(outputs=("y0", "y3"))
    x = torch.randn(2, 5, 8)
    for name, value in Program(taken_apart(whole)).run({"x0": x}).items():
        torch.testing.assert_close(value, Program(whole).run({"x0": x})[name])


def test_attention_with_a_past_stays_whole() -> None:
    shapes = ((2, 5, 8), (8, 24), (24,), None, (2, 2, 2, 3, 4))
    assert [node.op for node in taken_apart(graph("Attention", shapes, {"num_heads": 2})).nodes] == ["Attention"]
    kept = graph("Attention", shapes[:3], {"num_heads": 2}, outputs=2)
    assert [node.op for node in taken_apart(kept).nodes] == ["Attention"]


def test_a_graph_without_fused_operators_is_itself() -> None:
    node = Node("Relu", ("x",), ("y",), "relu")
    plain = Graph((node,), (Input("x", torch.float32, (3,)),), ("y",), {})
    assert taken_apart(plain) is plain


def test_every_way_of_taking_apart_is_tried() -> None:
    assert {case[0] for case in CASES} == set(APART)
