"""Outputs that no gradient is asked of: left out where they are not computed, as long as a float one remains."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.parser import parse_model

from service.contract.options import Options
from service.contract.problem import UnsupportedModel, UnsupportedOperator
from service.contract.report import Report
from worker.examine import examine
from worker.load.onnx import interpret
from worker.network.run import Program

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
MLP = "h = MatMul(x, w) b1 = Add(h, b) a = Relu(b1) s = MatMul(a, v) p = Softmax(s)"
WEIGHTS = {"w": (4, 8), "b": (8,), "v": (8, 3)}


def model(outputs: str, body: str, **held: np.ndarray) -> onnx.ModelProto:
    """Return a classifier as converters of scikit-learn write one."""
    opsets = '"": 17, "ai.onnx.ml": 1, "some.where": 1'
    made = parse_model(f"<ir_version: 8, opset_import: [{opsets}]> g (float[n,4] x) => ({outputs}) {{ {body} }}")
    draw = np.random.default_rng(1)
    drawn = {name: draw.normal(size=size).astype(np.float32) for name, size in WEIGHTS.items() if f", {name})" in body}
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in {**drawn, **held}.items())
    return made


def examined(made: onnx.ModelProto, folder: Path) -> Report:
    path, batch = folder / "model.onnx", folder / "batch.npz"
    path.write_bytes(made.SerializeToString())
    np.savez(batch, x=X)
    return examine(path, batch, Options(depth="quick", treat=False, steps=5))


LABEL = "k = ArgMax<axis = 1>(p) i = ai.onnx.ml.ArrayFeatureExtractor(c, k) r = Constant<value_ints = [-1]>()"
TEXT = np.array(["a", "b", "c"], object)
NAMED = 'm = ai.onnx.ml.ZipMap<classlabels_strings = ["a", "b", "c"]>(p)'


def test_a_label_of_text_is_left_out_and_a_map_is_its_numbers(tmp_path: Path) -> None:
    """As skl2onnx writes an MLPClassifier whose classes have names."""
    body = f"{MLP} {LABEL} label = Reshape(i, r) {NAMED}"
    report = examined(model("string[n] label, seq(map(string, float)) m", body, c=TEXT), tmp_path)
    assert report.model.parameters == 4 * 8 + 8 + 8 * 3
    assert [each.name for each in report.model.outputs] == ["m"]
    assert report.fidelity.ok
    assert report.fidelity.compared == 1
    assert any("'label' is left out. The model's output 'label' holds text." in note for note in report.model.notes)
    assert any("(ZipMap) is dropped" in note for note in report.model.notes)


def test_labels_of_numbers_stay_and_the_first_float_output_is_examined(tmp_path: Path) -> None:
    body = f"{MLP} {LABEL} label = Reshape(i, r) q = Identity(p)"
    report = examined(model("int64[n] label, float[n,3] q", body, c=np.array([3, 5, 7])), tmp_path)
    assert [each.name for each in report.model.outputs] == ["label", "q"]
    assert report.fidelity.compared == 2


def test_an_output_behind_an_unknown_operator_is_left_out_by_name() -> None:
    made = model("float[n,3] y, float[n,3] p", f"{MLP} u = some.where.Magic(s) y = Relu(u)")
    graph = interpret(made)
    assert graph.outputs == ("p",)
    (note,) = (note for note in graph.notes if "left out" in note)
    assert "'y' is left out. The operator Magic of some.where 1, at node " in note
    assert "Magic" not in {node.op for node in graph.nodes}
    assert Program(graph).run({"x": torch.from_numpy(X)})["p"].shape == (12, 3)


def test_what_nothing_reads_is_no_reason_to_refuse() -> None:
    graph = interpret(model("float[n,3] p", f"{MLP} u = some.where.Magic(s) t = Relu(u)"))
    assert graph.outputs == ("p",)
    assert not any("Magic" in note for note in graph.notes)


def test_a_graph_without_any_of_this_is_left_as_it_is() -> None:
    graph = interpret(model("float[n,3] p", f"{MLP} t = Relu(s)"))
    assert "t" in {name for node in graph.nodes for name in node.outputs}


def test_an_unknown_operator_before_every_output_is_refused_by_name_node_and_version() -> None:
    with pytest.raises(UnsupportedOperator, match=r"The operator Magic of some\.where 1, at node 'Magic_0'"):
        interpret(model("float[n,3] p", MLP.replace("MatMul(x, w)", "some.where.Magic(x, w)")))


def test_an_unknown_operator_in_a_body_counts() -> None:
    body = (
        f"{MLP} t = Constant<value = bool {{1}}>() y = If(t) <"
        "then_branch = a () => (one) { one = some.where.Magic(s) },"
        "else_branch = o () => (two) { two = Identity(s) }>"
    )
    graph = interpret(model("float[n,3] y, float[n,3] p", body))
    assert graph.outputs == ("p",)


def test_an_input_that_no_kept_output_reads_may_be_of_any_kind() -> None:
    made = model("float[n,3] p, float y", f"{MLP} y = ConcatFromSequence<axis = 0>(z)")
    kind = onnx.helper.make_sequence_type_proto(onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None))
    made.graph.input.append(onnx.helper.make_value_info("z", kind))
    graph = interpret(made)
    assert [given.name for given in graph.inputs] == ["x"]
    assert graph.outputs == ("p",)


def test_labels_alone_are_refused(tmp_path: Path) -> None:
    made = model("string[n] label", f"{MLP} {LABEL} label = Reshape(i, r)", c=TEXT)
    with pytest.raises(UnsupportedModel, match="'label' holds text"):
        examined(made, tmp_path)


LINEAR = "coefficients = [{}], intercepts = [0.1, 0.2, 0.3]".format(", ".join(str(each / 7) for each in range(12)))


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("labels", ["classlabels_ints = [3, 5, 7]", 'classlabels_strings = ["a", "b", "c"]'])
def test_coefficients_of_a_linear_classifier_are_parameters(tmp_path: Path, transform: str, labels: str) -> None:
    kind = "string" if "strings" in labels else "int64"
    body = f'label, q = ai.onnx.ml.LinearClassifier<{labels}, {LINEAR}, post_transform = "{transform}">(x)'
    report = examined(model(f"{kind}[n] label, float[n,3] q", body), tmp_path)
    assert report.model.parameters == 12 + 3
    assert report.fidelity.ok
    assert report.fidelity.compared == (1 if kind == "string" else 2)


def test_coefficients_of_a_linear_regressor_are_parameters(tmp_path: Path) -> None:
    body = f"y = ai.onnx.ml.LinearRegressor<{LINEAR}, targets = 3>(x)"
    report = examined(model("float[n,3] y", body), tmp_path)
    assert report.model.parameters == 12 + 3
    assert report.fidelity.ok
