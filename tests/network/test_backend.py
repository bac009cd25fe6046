"""The backend behind ONNX's own interface."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.contract.problem import BatchMismatch, UnsupportedOperator
from worker.network import backend
from worker.network.backend import TorchBackend

ROW = np.array([[-1.0, 0.0, 2.0]], dtype=np.float32)


def model(node: onnx.NodeProto) -> onnx.ModelProto:
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in names]
        for names in (node.input, node.output)
    )
    graph = helper.make_graph([node], "g", [each for each in inputs if each.name != "nothing"], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


DIFFERENCE = model(helper.make_node("Sub", ["a", "b"], ["y"]))


def test_a_prepared_model_runs_again_and_again() -> None:
    prepared = backend.prepare(model(helper.make_node("Relu", ["x"], ["y"])))
    assert [prepared.run([factor * ROW])["y"].tolist() for factor in (1, -1)] == [[[0, 0, 2]], [[1, 0, 0]]]


@pytest.mark.parametrize("inputs", [[ROW, 2 * ROW], {"b": 2 * ROW, "a": ROW}], ids=["in order", "by name"])
def test_inputs_come_in_order_or_by_name(inputs: object) -> None:
    (y,) = backend.run_model(DIFFERENCE, inputs)
    assert y.dtype == np.float32
    assert y.tolist() == (-ROW).tolist()


def test_the_only_input_needs_no_list() -> None:
    (y,) = backend.run_model(model(helper.make_node("Neg", ["x"], ["y"])), ROW)
    assert y.tolist() == (-ROW).tolist()


def test_a_node_runs_alone_at_the_version_asked_for() -> None:
    """Softmax of version 11 counts the axes from the second on as one, that of version 13 only the last."""
    square = np.zeros((1, 2, 2), dtype=np.float32)
    node = helper.make_node("Softmax", ["x"], ["y"])
    assert backend.run_node(node, [square], opset_version=11)[0].ravel().tolist() == [0.25] * 4
    assert backend.run_node(node, [square], opset_version=13)[0].ravel().tolist() == [0.5] * 4


def test_a_file_decides_about_training_itself() -> None:
    node = helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "mean", "var"], training_mode=1)
    x = np.array([[1.0], [3.0]], dtype=np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    y, mean, var = backend.run_node(node, [x, one, zero, zero, one])
    assert y.ravel() == pytest.approx([-1, 1], abs=1e-4)
    assert (mean.item(), var.item()) == pytest.approx((0.1 * 2, 0.9 * 1 + 0.1 * 1))


def test_too_many_inputs_are_refused() -> None:
    with pytest.raises(BatchMismatch, match="2 inputs, and 3"):
        backend.run_model(DIFFERENCE, [ROW, ROW, ROW])


def test_an_operator_that_is_not_computed_is_named() -> None:
    node = helper.make_node("Mystery", ["x"], ["y"], domain="com.example")
    with pytest.raises(UnsupportedOperator, match=r"Mystery of com\.example 1"):
        backend.run_node(node, [ROW])


def test_what_is_no_model_is_refused_by_onnxs_checker() -> None:
    with pytest.raises(onnx.checker.ValidationError):
        backend.prepare(model(helper.make_node("Relu", ["nothing"], ["y"])))


def test_devices_are_those_of_the_machine() -> None:
    assert TorchBackend.supports_device("CPU")
    assert not TorchBackend.supports_device("CUDA:99")
    assert not TorchBackend.supports_device("TPU")
    with pytest.raises(RuntimeError, match="no device 'TPU'"):
        backend.prepare(DIFFERENCE, device="TPU")
