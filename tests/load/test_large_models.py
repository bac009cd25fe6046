"""Large models: their numbers stay in their files, and are the files' numbers."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from worker.load.onnx import read
from worker.load.wire import lightened


def large(tmp_path: Path, numbers: np.ndarray, shift: int = 0, **fields: object) -> tuple[onnx.ModelProto, Path]:
    """Write a product with a large matrix; a longer name of the graph shifts where it lies in the file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=numbers.shape, **fields)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g" * (1 + shift),
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(numbers)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", numbers.shape[1]])],
        [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    path = tmp_path / "large.onnx"
    path.write_bytes(model.SerializeToString())
    return model, path


@pytest.mark.parametrize("rows", [2, 200, 20_000])
@pytest.mark.parametrize("shift", range(4))
def test_large_tensors_hold_the_files_numbers_wherever_they_lie(tmp_path: Path, rows: int, shift: int) -> None:
    numbers = np.arange(rows * 16, dtype=np.float32).reshape(rows, 16)
    _, path = large(tmp_path, numbers, shift, raw_data=numbers.tobytes())
    assert np.array_equal(read(path).parameters["w"].value.numpy(), numbers)


@pytest.mark.parametrize("rows", [2, 20_000])
def test_floats_that_are_packed_are_read_as_raw_ones_are(tmp_path: Path, rows: int) -> None:
    numbers = np.arange(rows * 16, dtype=np.float32).reshape(rows, 16)
    _, path = large(tmp_path, numbers, float_data=numbers.flatten().tolist())
    assert np.array_equal(read(path).parameters["w"].value.numpy(), numbers)


def test_whoever_changes_a_mapped_tensor_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    numbers = np.arange(320_000, dtype=np.float32).reshape(20_000, 16)
    _, path = large(tmp_path, numbers)
    (tmp_path / "data").write_bytes(numbers.tobytes())
    model = onnx.load(path)
    (tensor,) = model.graph.initializer
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="data")
    path.write_bytes(model.SerializeToString())
    read(path, {"data": tmp_path / "data"}).parameters["w"].value.zero_()
    assert (tmp_path / "data").read_bytes() == numbers.tobytes()


@pytest.mark.parametrize("length", [1, 127, 128, 300, 16_383, 16_384, 70_000])
def test_what_is_left_of_a_file_is_the_file_without_what_nobody_reads(length: int) -> None:
    """Levels of messages whose lengths take one to three bytes; what the model says of itself is kept."""
    inner = helper.make_node("Relu", ["x"], ["n" * length], doc_string="read by people")
    graph = helper.make_graph(
        [inner], "g", [], [], doc_string="read by people", value_info=[helper.make_tensor_value_info("v", 1, [2])]
    )
    model = helper.make_model(helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=graph)], "h", [], []))
    model.metadata_props.add(key="a", value="of the model itself, which is written back")
    model.graph.metadata_props.add(key="a", value="b")
    seen = onnx.load_from_string(lightened(memoryview(model.SerializeToString()), 100))
    inner.ClearField("doc_string")
    bare = helper.make_graph([inner], "g", [], [])
    model.graph.node[0].attribute[0].g.CopyFrom(bare)
    del model.graph.metadata_props[:]
    assert seen == model
