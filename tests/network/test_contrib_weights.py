"""Weights of onnxruntime's operators are found in their slots, and nothing else of theirs is."""

from collections.abc import Sequence

import onnx
import pytest
import torch
from onnx import helper

from worker.load.onnx import interpret
from worker.load.slots import FUSED
from worker.network.export import tensor_proto
from worker.network.ops import find, operators

MICROSOFT = "com.microsoft"


def graph(op: str, shapes: Sequence[tuple[int, ...] | None], **attributes: int) -> set[int]:
    """Return which places of a node behind a weight are parameters, where all but the first hold numbers."""
    names = ["" if shape is None else f"x{place}" for place, shape in enumerate(shapes)]
    tensors = [tensor_proto(name, torch.randn(shape)) for name, shape in zip(names, shapes, strict=True) if shape][1:]
    node = helper.make_node(op, names, ["y"], domain=MICROSOFT, **attributes)
    first = shapes[0] or ()
    into = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, first)
    before = helper.make_node("MatMul", ["x", "weight"], ["x0"])
    tensors.append(tensor_proto("weight", torch.randn(first[-1], first[-1])))
    made = helper.make_graph([before, node], "one", [into], [onnx.ValueInfoProto(name="y")], tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    parameters = interpret(helper.make_model(made, opset_imports=opsets)).parameters
    return {names.index(name) for name in parameters.keys() - {"weight"}}


CASES: dict[str, list[tuple[int, ...] | None]] = {
    "Attention": [(2, 5, 8), (8, 24), (24,)],
    "FusedConv": [(2, 3, 8, 8), (4, 3, 3, 3), (4,)],
    "FusedGemm": [(2, 8), (8, 5), (5,)],
    "FusedMatMul": [(2, 8), (8, 5)],
    "GatedRMSNorm": [(2, 8), (8,), (2, 8)],
    "MultiHeadAttention": [(2, 5, 8), None, None, (24,)],
    "SkipLayerNormalization": [(2, 5, 8), (5, 8), (8,), (8,), (8,)],
    "SkipSimplifiedLayerNormalization": [(2, 5, 8), (5, 8), (8,), (8,)],
}


@pytest.mark.parametrize("op", CASES)
def test_weights_are_found_in_their_slots(op: str) -> None:
    given = {place for place, shape in enumerate(CASES[op]) if shape}
    assert graph(op, CASES[op]) == set(FUSED[op]) & given - {0}


def test_angles_of_rotary_embeddings_are_no_weights() -> None:
    assert graph("RotaryEmbedding", [(2, 5, 8), (2, 5), (16, 4), (16, 4)]) == set()


@pytest.mark.parametrize("op", FUSED)
def test_a_slot_is_an_input_of_the_operator(op: str) -> None:
    found = find(MICROSOFT, op, 1)
    if found is not None:
        code = found.function.__code__
        assert max(FUSED[op]) < code.co_argcount


def test_every_operator_with_a_slot_is_computed_or_is_for_packed_words() -> None:
    known = {key.split("/")[1] for key in operators if key.startswith(MICROSOFT)}
    assert set(FUSED) - known == {"PackedAttention"}
