"""A model's file without what nothing reads is the same model, whatever its lengths."""

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from worker.load.wire import lightened

LENGTHS = (0, 1, 100, 127, 128, 129, 255, 256, 300, 16_383, 16_384, 40_000, 2_100_000)


def model(said: int, tensor: int) -> ModelProto:
    """Return a product with a weight of so many numbers, in which every message holds a text of so many bytes."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"], doc_string="n" * said)
    weight = numpy_helper.from_array(np.arange(tensor, dtype=np.float32), "w")
    weight.doc_string = "w" * said
    graph = helper.make_graph([node], "g", [], [], [weight], doc_string="g" * said)
    return helper.make_model(graph, doc_string="m" * said)


@pytest.mark.parametrize("said", LENGTHS)
@pytest.mark.parametrize("tensor", [1, 10, 40, 200, 1000])
def test_what_nothing_reads_is_left_out_at_every_length(said: int, tensor: int) -> None:
    whole = model(said, tensor)
    light = ModelProto.FromString(lightened(memoryview(whole.SerializeToString()), 100))
    bare = model(0, tensor)
    for each in (light, bare):
        for held in (each, each.graph, each.graph.node[0], each.graph.initializer[0]):
            held.ClearField("doc_string")
    assert light == bare
