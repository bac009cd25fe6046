"""Quantized networks: values as onnxruntime has them, gradients straight through what is undone at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization
from torch import Tensor, nn

from service.contract.options import Options
from worker.examine import examine
from worker.load.onnx import interpret
from worker.network.dtypes import dtype
from worker.network.edit import exchange
from worker.network.export import to_onnx
from worker.network.graph import Graph, Input, Node
from worker.network.layers import weight_layers
from worker.network.lowbit import cast
from worker.network.run import Program
from worker.network.straight import pairs
from worker.probe.path import trace_path

SCALE = 0.25
RANGE = (-2.0, 1.75)
"""What four bits represent in steps of a quarter around zero."""


class Batches(quantization.CalibrationDataReader):
    """One batch to calibrate on."""

    def __init__(self, batch: np.ndarray) -> None:
        """Hold the batch until it is asked for."""
        self._batches = iter([{"x": batch}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the batch, once."""
        return next(self._batches, None)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Return a small convolutional network as ONNX, with a batch and targets beside it."""
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
    )
    x = torch.randn(8, 3, 8, 8)
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logging.Logger.warning", lambda *_, **__: None)
        torch.onnx.export(
            network,
            (x,),
            tmp_path / "float.onnx",
            input_names=["x"],
            output_names=["y"],
            dynamic_axes=axes,
            dynamo=False,
            opset_version=17,
        )
    np.savez(tmp_path / "batch.npz", x=x.numpy(), y=torch.randint(5, (8,)).numpy())
    return tmp_path / "float.onnx"


def quantized(source: Path, form: quantization.QuantFormat, **extra: bool) -> Path:
    """Return the network in eight bits, calibrated on its batch."""
    target = source.with_name("quantized.onnx")
    batch = np.load(source.with_name("batch.npz"))["x"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logging.warning", lambda *_, **__: None)
        patch.setattr("logging.Logger.warning", lambda *_, **__: None)
        quantization.quantize_static(source, target, Batches(batch), quant_format=form, extra_options=extra)
    return target


def fake_quantized(kind: int = TensorProto.INT4) -> onnx.ModelProto:
    """Return y = DQ(Q(x)) DQ(Q(w)), in steps of a quarter."""
    nodes = []
    for name in "xw":
        nodes.append(helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}q"], name=f"{name}_in"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}q", "scale", "zero"], [f"{name}d"], name=name))
    nodes.append(helper.make_node("MatMul", ["xd", "wd"], ["y"], name="product"))
    weight = np.linspace(-3, 3, 12, dtype=np.float32).reshape(4, 3)
    graph = helper.make_graph(
        nodes,
        "fake",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(np.array(SCALE, np.float32), "scale"),
            helper.make_tensor("zero", kind, [], [0]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def clamped(values: Tensor) -> Tensor:
    return values.clamp(*RANGE)


def test_values_are_rounded_and_gradients_are_those_of_a_clamp() -> None:
    """The values come from rounding by hand, the gradients from the same product of clamped values."""
    graph = interpret(fake_quantized())
    x, w = torch.randn(6, 4, requires_grad=True), graph.parameters["w"].value.clone().requires_grad_()
    y = Program(graph).run({"x": x}, {"w": w})["y"]
    rounded = [torch.round(clamped(each) / SCALE).clamp(-8, 7) * SCALE for each in (x, w)]
    assert torch.equal(y, rounded[0] @ rounded[1])
    seed = torch.randn_like(y)
    ours = torch.autograd.grad(y, (x, w), seed)
    inside = [(each >= RANGE[0]) & (each <= RANGE[1]) for each in (x, w)]
    assert torch.allclose(ours[0], (seed @ rounded[1].mT) * inside[0])
    assert torch.allclose(ours[1], (rounded[0].mT @ seed) * inside[1])
    assert not inside[1].all(), "some of the weights are out of range"


def test_infinities_and_nans_leave_values_as_the_file_says() -> None:
    graph = interpret(fake_quantized(TensorProto.INT8))
    x = torch.tensor([[torch.inf, -torch.inf, torch.nan, 1.0]])
    with torch.no_grad():
        first = Program(graph).run({"x": x})["y"]
    assert torch.equal(Program(graph).run({"x": x.requires_grad_()})["y"], first)


def test_the_graph_keeps_its_own_nodes_and_goes_back_to_onnx() -> None:
    graph = interpret(fake_quantized())
    Program(graph)
    ops = [node.op_type for node in to_onnx(graph).graph.node]
    assert ops == ["QuantizeLinear", "DequantizeLinear"] * 2 + ["MatMul"]
    onnx.checker.check_model(to_onnx(graph))


def test_four_bits_go_back_to_onnx_as_they_came() -> None:
    zero = next(each for each in to_onnx(interpret(fake_quantized())).graph.initializer if each.name == "zero")
    assert zero.data_type == TensorProto.INT4
    assert numpy_helper.to_array(zero) == 0


def test_another_scale_is_no_pair() -> None:
    graph = interpret(fake_quantized())
    assert [(done.name, undone.name) for done, undone in pairs(graph)] == [("x_in", "x"), ("w_in", "w")]
    x = next(node for node in graph.nodes if node.name == "x")
    other = exchange(graph, {"x": replace(x, inputs=("xq", "other", "zero"))})
    other = other.replace(constants={**graph.constants, "other": torch.tensor(0.5)})
    assert [undone.name for _, undone in pairs(other)] == ["w"]
    equal = other.replace(constants={**graph.constants, "other": torch.tensor(SCALE)})
    assert len(list(pairs(equal))) == 2


def test_one_quantization_may_be_undone_twice() -> None:
    graph = interpret(fake_quantized())
    again = Node("DequantizeLinear", ("wq", "scale", "zero"), ("w2",), "again")
    both = graph.replace(nodes=(*graph.nodes[:-1], again, Node("Add", ("wd", "w2"), ("y",), "sum")))
    w = graph.parameters["w"].value.clone().requires_grad_()
    y = Program(both).run({"x": torch.zeros(1, 4)}, {"w": w})["y"]
    (gradient,) = torch.autograd.grad(y.sum(), w)
    assert torch.equal(gradient, 2.0 * ((w >= RANGE[0]) & (w <= RANGE[1])))


def test_the_path_goes_through_quantization() -> None:
    graph = interpret(fake_quantized())
    w = graph.parameters["w"].value.clone().requires_grad_()
    values = Program(graph).trace({"x": torch.randn(2, 4, requires_grad=True)}, {"w": w}).values
    path = trace_path(graph, values, "y")
    assert path.values == ("x", "xd", "y")
    assert path.weights["product"] == ("w",)


@pytest.mark.filterwarnings("ignore")
def test_layers_are_found_behind_quantization(exported: Path) -> None:
    source = quantized(exported, quantization.QuantFormat.QDQ, AddQDQPairToWeight=True)
    found = weight_layers(interpret(onnx.load(source)))
    assert [layer.kernel for layer in found] == ["0.weight", "3.weight", "7.weight"]
    assert [layer.after and layer.after.op for layer in found] == [None, None, None], "Relu became a range"
    assert len(weight_layers(interpret(fake_quantized()))) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_quantized_network_with_float_weights_is_examined(exported: Path) -> None:
    """As quantization-aware training exports it: every weight matrix learns, the biases are whole numbers."""
    source = quantized(exported, quantization.QuantFormat.QDQ, AddQDQPairToWeight=True)
    report = examine(source, source.with_name("batch.npz"), Options(depth="quick", treat=False))
    assert report.fidelity.ok
    assert report.model.parameters == 3 * 6 * 9 + 6 * 8 * 9 + 8 * 5
    assert "GRD03" not in {finding.code for finding in report.findings}
    assert any("10 × QuantizeLinear" in note for note in report.model.notes)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("form", "said"),
    [
        (quantization.QuantFormat.QDQ, "Weights stored as whole numbers"),
        (quantization.QuantFormat.QOperator, "No gradient passes QGemm, QLinearConv"),
    ],
)
def test_weights_in_whole_numbers_do_not_train_and_the_report_says_so(
    exported: Path, form: quantization.QuantFormat, said: str
) -> None:
    source = quantized(exported, form)
    report = examine(source, source.with_name("batch.npz"), Options(depth="quick", treat=False))
    assert report.fidelity.ok
    assert report.model.parameters == 0
    assert any(said in note for note in report.model.notes)


@pytest.mark.filterwarnings("ignore")
def test_a_gradient_that_quantization_cuts_is_found_there(exported: Path) -> None:
    """Dynamic quantization keeps float biases, and rounds between them for good."""
    target = exported.with_name("dynamic.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logging.Logger.warning", lambda *_, **__: None)
        quantization.quantize_dynamic(exported, target)
    report = examine(target, exported.with_name("batch.npz"), Options(depth="quick", treat=False))
    assert report.fidelity.ok
    (found,) = (finding for finding in report.findings if finding.code == "GRD03")
    assert any("DynamicQuantize" in note for note in report.model.notes)
    assert any(place.node.endswith("QuantizeLinear") for place in found.places)


@pytest.mark.parametrize(
    ("kind", "most"),
    [(TensorProto.INT8, 127), (TensorProto.INT4, 7), (TensorProto.INT2, 1), (TensorProto.FLOAT8E4M3FN, 448)],
)
@pytest.mark.parametrize("domain", ["", "com.microsoft"])
def test_each_row_has_a_range_of_its_own(kind: int, most: int, domain: str) -> None:
    """Weights of the size of the largest number pass a gradient where their row's scale is one, and not at a tenth."""
    zeros = torch.zeros(2).to(torch.int32)
    nodes = (
        Node("QuantizeLinear", ("w", "scale", "zero"), ("q",), "in", {"axis": 0}, domain),
        Node("DequantizeLinear", ("q", "scale", "zero"), ("y",), "out", {"axis": 0}, domain),
    )
    graph = Graph(
        nodes=nodes,
        inputs=(Input("w", torch.float32, (2, 3)),),
        outputs=("y",),
        parameters={},
        constants={"scale": torch.tensor([1.0, 0.1]), "zero": cast(zeros, dtype(kind))},
        opsets={"": 23, "com.microsoft": 1},
    )
    w = torch.full((2, 3), float(most), requires_grad=True)
    y = Program(graph).run({"w": w})["y"]
    assert y[0].tolist() == [most] * 3
    assert torch.allclose(y[1], torch.tensor(most / 10))
    (gradient,) = torch.autograd.grad(y.sum(), w)
    assert gradient.tolist() == [[1.0] * 3, [0.0] * 3]
