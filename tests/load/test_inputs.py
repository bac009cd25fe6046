"""Inputs and outputs of ONNX files: which array is which input, which axis counts samples, what the loss reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from service.contract.options import Options
from service.contract.problem import BatchMismatch
from worker.load.onnx import read
from worker.load.rebatch import FREED, rebatchable
from worker.load.subject import Loaded, load

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
GENERATOR = np.random.default_rng(0)
Value = tuple[str, int, Sequence[int | str]]


def saved(folder: Path, nodes: Sequence[object], inputs: Sequence[Value], outputs: Sequence[Value]) -> Path:
    """Write a model whose tensors w [3, 4] and v [3, 4] are weights."""
    weights = [numpy_helper.from_array(GENERATOR.standard_normal((3, 4)).astype(np.float32), name) for name in "wv"]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def loaded(model: Path, arrays: dict[str, np.ndarray] | None = None, **options: str) -> Loaded:
    """Load a model with a batch of these arrays."""
    batch = None
    if arrays is not None:
        batch = model.with_suffix(".npz")
        np.savez(batch, **arrays)
    return load(model, batch, Options(**options), {}, torch.device("cpu"))


PRODUCT = helper.make_node("MatMul", ["x", "w"], ["y"])
X = GENERATOR.standard_normal((6, 3)).astype(np.float32)


def dense(folder: Path, *shape: int | str) -> Path:
    """Write x · w."""
    return saved(folder, [PRODUCT], [("x", FLOAT, shape)], [("y", FLOAT, [shape[0], 4])])


def undeclared(folder: Path) -> Path:
    """Write x · w, with no word about the shape of x."""
    path = dense(folder, "n", 3)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("name", ["x", "something"])
def test_an_input_of_no_declared_shape_takes_the_batchs(tmp_path: Path, name: str) -> None:
    found = loaded(undeclared(tmp_path), {name: X})
    assert found.outputs["y"].shape == (6, 4)
    assert [given.shape for given in found.graph.inputs] == [("?", "?")]


def test_no_batch_is_drawn_for_an_input_of_no_declared_shape(tmp_path: Path) -> None:
    with pytest.raises(BatchMismatch, match="what shape its input 'x' has; send a sample batch"):
        loaded(undeclared(tmp_path))


@pytest.mark.parametrize("first", ["batch", "N", "?"])
def test_a_dynamic_axis_takes_the_batchs_size(tmp_path: Path, first: str) -> None:
    found = loaded(dense(tmp_path, first, 3), {"x": X})
    assert found.subject.batch.size == 6
    assert found.outputs["y"].shape == (6, 4)
    assert FREED not in found.notes


@pytest.mark.parametrize("fixed", [1, 2])
def test_a_fixed_axis_takes_the_batchs_size_where_samples_are_alone(tmp_path: Path, fixed: int) -> None:
    found = loaded(dense(tmp_path, fixed, 3), {"x": X})
    assert found.outputs["y"].shape == (6, 4)
    assert FREED in found.notes
    assert isinstance(found.onnx, bytes), "what onnxruntime runs has the free axis too"


def test_a_batch_of_the_fixed_size_is_taken_as_it_is(tmp_path: Path) -> None:
    model = dense(tmp_path, 6, 3)
    found = loaded(model, {"x": X})
    assert FREED not in found.notes
    assert found.onnx == model


def two(folder: Path, *shapes: Sequence[int | str]) -> Path:
    """Write a · w + b · v."""
    nodes = [
        helper.make_node("MatMul", ["a", "w"], ["p"]),
        helper.make_node("MatMul", ["b", "v"], ["q"]),
        helper.make_node("Add", ["p", "q"], ["y"]),
    ]
    inputs = [(name, FLOAT, shape) for name, shape in zip("ab", shapes, strict=True)]
    return saved(folder, nodes, inputs, [("y", FLOAT, None)])  # type: ignore[list-item]


def test_inputs_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    found = loaded(two(tmp_path, ["n", 3], ["n", 3]), {"b": X + 1, "a": X})
    assert torch.equal(found.subject.batch.inputs["a"], torch.from_numpy(X))
    assert torch.equal(found.subject.batch.inputs["b"], torch.from_numpy(X + 1))


def test_arrays_without_names_go_by_order(tmp_path: Path) -> None:
    found = loaded(two(tmp_path, ["n", 3], ["n", 3]), {"arr_0": X, "arr_1": X + 1})
    assert torch.equal(found.subject.batch.inputs["b"], torch.from_numpy(X + 1))


def test_arrays_under_other_names_are_taken_where_only_one_way_is_left(tmp_path: Path) -> None:
    nodes = [helper.make_node("Cast", ["ids"], ["f"], to=FLOAT), helper.make_node("MatMul", ["x", "w"], ["p"])]
    nodes.append(helper.make_node("Add", ["p", "f"], ["y"]))
    model = saved(tmp_path, nodes, [("x", FLOAT, ["n", 3]), ("ids", INT64, ["n", 1])], [("y", FLOAT, None)])  # type: ignore[list-item]
    found = loaded(model, {"numbers": np.ones((6, 1), np.int64), "pixels": X})
    assert torch.equal(found.subject.batch.inputs["x"], torch.from_numpy(X))
    assert "The array 'pixels' was taken for the input 'x'." in found.subject.batch.notes


def test_arrays_under_other_names_that_fit_two_ways_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BatchMismatch, match=r"lacks the input 'a'; it has 'one', 'other'"):
        loaded(two(tmp_path, ["n", 3], ["n", 3]), {"one": X, "other": X})


def test_only_inputs_of_another_size_are_freed(tmp_path: Path) -> None:
    """The second input is one row for all samples, and stays one row."""
    found = loaded(two(tmp_path, [2, 3], [1, 3]), {"a": X, "b": X[:1]})
    assert [each.shape for each in found.graph.inputs] == [("batch", 3), (1, 3)]
    assert found.outputs["y"].shape == (6, 4)


def test_inputs_that_ask_for_different_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BatchMismatch, match=r"'a' has the shape \[6, 3\]; the model takes \[2, 3\]"):
        loaded(two(tmp_path, [2, 3], [2, 3]), {"a": X, "b": X[:3]})


def test_states_beside_a_sequence_are_freed_along_their_own_axis(tmp_path: Path) -> None:
    """The state of a recurrent network is [layers, batch, features]."""
    kernels = [GENERATOR.standard_normal(shape).astype(np.float32) for shape in ((1, 5, 3), (1, 5, 5))]
    tensors = [numpy_helper.from_array(value, name) for value, name in zip(kernels, "WR", strict=True)]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("RNN", ["t", "W", "R", "", "", "h"], ["s", "last"], hidden_size=5),
        helper.make_node("Squeeze", ["last", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, [2, 4, 3]), helper.make_tensor_value_info("h", FLOAT, [1, 2, 5])],
        [helper.make_tensor_value_info("y", FLOAT, [2, 5])],
        [*tensors, numpy_helper.from_array(np.array([0]), "zero")],
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    x, h = GENERATOR.standard_normal((6, 4, 3)), GENERATOR.standard_normal((1, 6, 5))
    found = loaded(path, {"x": x.astype(np.float32), "h": h.astype(np.float32)})
    assert [each.shape for each in found.graph.inputs] == [("batch", 4, 3), (1, "batch", 5)]
    assert found.outputs["y"].shape == (6, 5)


def test_a_batch_along_another_axis_alone_is_refused_and_named(tmp_path: Path) -> None:
    model = saved(tmp_path, [PRODUCT], [("x", FLOAT, [7, 2, 3])], [("y", FLOAT, [7, 2, 4])])
    with pytest.raises(BatchMismatch, match=r"\[7, 6, 3\]; the model takes \[7, 2, 3\]"):
        loaded(model, {"x": np.zeros((7, 6, 3), np.float32)})


def test_a_file_with_time_first_says_what_is_counted(tmp_path: Path) -> None:
    model = saved(tmp_path, [PRODUCT], [("x", FLOAT, ["time", "batch", 3])], [("y", FLOAT, ["time", "batch", 4])])
    found = loaded(model, {"x": np.zeros((7, 6, 3), np.float32)})
    assert found.subject.batch.size == 7
    (note,) = [each for each in found.subject.batch.notes if "axis 1" in each]
    assert "x calls its axis 1 'batch'; samples are counted along the first axis" in note


LABEL = helper.make_node("ArgMax", ["y"], ["label"], axis=1, keepdims=0)
SCALED = helper.make_node("Mul", ["x", "x"], ["square"])
OUTPUTS: list[Value] = [("label", INT64, ["n"]), ("square", FLOAT, ["n", 3]), ("y", FLOAT, ["n", 4])]


def labelled(folder: Path) -> Path:
    """Write a file that gives a label, a float that no weight moves, and logits, as classifiers of tables do."""
    return saved(folder, [PRODUCT, LABEL, SCALED], [("x", FLOAT, ["n", 3])], OUTPUTS)


def test_the_loss_reads_the_first_output_that_trains(tmp_path: Path) -> None:
    found = loaded(labelled(tmp_path), {"x": X})
    assert found.subject.output == "y"
    assert any("The loss reads the output 'y'; another ('label', 'square')" in note for note in found.notes)


def test_the_caller_may_choose_another_output_but_no_label(tmp_path: Path) -> None:
    found = loaded(labelled(tmp_path), {"x": X}, output="square", loss="mse")
    assert found.subject.output == "square"
    assert not any("The loss reads" in note for note in found.notes)
    with pytest.raises(BatchMismatch, match=r"'label' holds torch.int64"):
        loaded(labelled(tmp_path), {"x": X}, output="label")
    with pytest.raises(BatchMismatch, match=r"no output 'z'; its outputs are 'label', 'square', 'y'"):
        loaded(labelled(tmp_path), {"x": X}, output="z")


def test_without_a_batch_a_small_file_of_a_fixed_size_is_freed(tmp_path: Path) -> None:
    assert loaded(dense(tmp_path, 1, 3)).subject.batch.size == 64


def test_a_file_that_mixes_samples_is_drawn_a_batch_of_its_own_size(tmp_path: Path) -> None:
    nodes = [PRODUCT, helper.make_node("Softmax", ["y"], ["z"], axis=0)]
    model = saved(tmp_path, nodes, [("x", FLOAT, [2, 3])], [("z", FLOAT, [2, 4])])
    graph = read(model)
    assert rebatchable(graph) is graph
    assert loaded(model).subject.batch.size == 2
    with pytest.raises(BatchMismatch, match=r"has 6 samples; the file fixes its batch to 2, and the node .*Softmax"):
        loaded(model, {"x": X})
