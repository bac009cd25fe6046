"""Files in half precision are examined in float32."""

from pathlib import Path

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

from worker.load.fidelity import compare
from worker.load.onnx import read
from worker.load.precision import widened
from worker.network.graph import Graph, Input, Node
from worker.network.run import Program


def half(path: Path) -> Path:
    """Write x (float16) · w, cast to float16 once more."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT16),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["n", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["n", 2])],
            [numpy_helper.from_array(np.full((3, 2), 0.1, np.float16), "w")],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    path.write_bytes(model.SerializeToString())
    return path


def test_half_precision_is_widened_everywhere_and_noted(tmp_path: Path) -> None:
    graph = read(half(tmp_path / "half.onnx"))
    assert graph.inputs[0].dtype == graph.parameters["w"].value.dtype == torch.float32
    assert any("float16" in note for note in graph.notes)
    assert Program(graph).run({"x": torch.ones(1, 3)})["y"].dtype == torch.float32


def test_onnxruntime_is_asked_in_the_files_own_precision(tmp_path: Path) -> None:
    path = half(tmp_path / "half.onnx")
    found = compare(path, read(path), {"x": torch.ones(1, 3)})
    assert found.ok
    assert found.compared == 1


def test_a_graph_in_float32_is_left_as_it_is() -> None:
    graph = Graph((Node("Relu", ("x",), ("y",), name="r"),), (Input("x", torch.float32, (1,)),), ("y",), {})
    assert widened(graph) is graph
