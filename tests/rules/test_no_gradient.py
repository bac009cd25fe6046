"""Networks in which an operator cuts the gradient: the report names it, and no weights but those that it cuts off."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from service.contract.options import Options
from service.contract.report import Report
from service.contract.words import Severity, Verdict
from tests.odd_models import SIZE, classes, graph, normal, x
from worker.examine import examine

CODE = "GRD03"
WEIGHTS = {"w1": normal(6, 8), "b1": normal(8), "w2": normal(8, 3), "b2": normal(3)}
CONSTANTS = {
    "one": np.float32(1),
    "eight": np.array(8),
    "bits": np.array([0, 1], np.float32),
    "zero": np.float32(0),
    "point": np.uint8(128),
    "zeros": np.zeros(8, np.float32),
    "last": np.array([1]),
    "six": np.array(6),
    "yes": np.array(True),  # noqa: FBT003  a tensor's value
    "three": np.array(3),
}
BRANCH = """a = If (yes) <then_branch = g1 () => (float[N,8] r) { r = OP(h) },
else_branch = g2 () => (float[N,8] s) { s = Identity(h) }>"""
LOOP = """a = Loop (three, yes, h) <body = g (int64 i, bool c, float[N,8] before) => (bool again, float[N,8] after)
{ again = Identity(c) t = OP(before) after = Mul(t, one) }>"""
SCAN = """t = Transpose(h) m = ReduceMean<axes = [1], keepdims = 0>(h) state, rest = Scan <num_scan_inputs = 1,
body = g (float[N] past, float[N] row) => (float[N] next, float[N] out) { out = OP(row) next = Add(past, out) }>
(m, t) a = Transpose(rest)"""


def chain(middle: str, **others: np.ndarray) -> onnx.ModelProto:
    """Return two dense layers, with nodes between them that compute a from h."""
    body = f"h = Gemm(x, w1, b1) {middle} y = Gemm(a, w2, b2)"
    return graph("(float[N,6] x) => (float[N,3] y)", body, {**CONSTANTS, **WEIGHTS, **others})


def examined(model: onnx.ModelProto, folder: Path) -> Report:
    """Return the report of a classification."""
    path, batch = folder / "model.onnx", folder / "batch.npz"
    onnx.checker.check_model(model)
    onnx.save(model, path)
    np.savez(batch, **x(target=classes(SIZE)))  # type: ignore[arg-type]
    return examine(path, batch, Options.model_validate({"steps": 5, "treat": False}))


CUTS = {
    "a choice": ("m = ArgMax<axis = 1, keepdims = 0>(h) a = OneHot(m, eight, bits)", "ArgMax 'ArgMax_1'"),
    "a hard choice": ("a = Hardmax(h)", "Hardmax 'Hardmax_1'"),
    "a step": ("r = Relu(h) a = Round(r)", "Round 'Round_2'"),
    "a sign": ("a = Sign(h)", "Sign 'Sign_1'"),
    "whole numbers and back": ("i = Cast<to = 7>(h) a = Cast<to = 1>(i)", "Cast 'Cast_1'"),
    "a quantization": ("q = QuantizeLinear(h, one, point) a = Cast<to = 1>(q)", "QuantizeLinear 'QuantizeLinear_1'"),
    "a condition": ("c = Greater(h, zero) a = Where(c, zeros, one)", "Greater 'Greater_1'"),
    "an index": (
        """s = ReduceSum(h, last) i = Cast<to = 7>(s) j = Mod(i, six)
        g = GatherElements<axis = 1>(x, j) a = Add(g, zeros)""",
        "Cast 'Cast_2'",
    ),
    "two ways": ("r = Round(h) s = Sign(h) a = Add(r, s)", "Round 'Round_1', Sign 'Sign_2'"),
    "a branch": (BRANCH.replace("OP", "Round"), "Round 'r' within 'If_1'"),
    "a loop": (LOOP.replace("OP", "Floor"), "Floor 't' within 'Loop_1'"),
    "a scan": (SCAN.replace("OP", "Sign"), "Sign 'out' within 'Scan_3'"),
}


@pytest.mark.parametrize("name", CUTS)
def test_what_cuts_the_gradient_is_named(name: str, tmp_path: Path) -> None:
    """w1 and b1, which stand before it, hold most of the weights: a certainty."""
    middle, cut = CUTS[name]
    report = examined(chain(middle), tmp_path)
    (finding,) = [finding for finding in report.findings if finding.code == CODE]
    assert f"the gradient ends at {cut}." in finding.explanation
    assert finding.severity is Severity.ERROR
    assert report.verdict is Verdict.FAIL
    parameters = {place.parameter: place.node for place in finding.places if place.parameter}
    assert parameters.keys() == {"w1", "b1"}
    assert set(parameters.values()) == {"Gemm_0"}, "the node that reads them"
    assert {place.node for place in finding.places if not place.parameter} == {
        each.split("'")[1] for each in cut.split(",")
    }


SMOOTH = {
    "a soft choice": "a = Softmax<axis = 1>(h)",
    "a condition that only chooses": "c = Greater(h, zero) n = Neg(h) a = Where(c, h, n)",
    "a step beside a straight way": "r = Round(h) a = Add(r, h)",
    "quantized and back": "q = QuantizeLinear(h, one, point) a = DequantizeLinear(q, one, point)",
    "floats of another width": "i = Cast<to = 11>(h) a = Cast<to = 1>(i)",
    "a branch": BRANCH.replace("OP", "Tanh"),
    "a loop": LOOP.replace("OP", "Tanh"),
    "a scan": SCAN.replace("OP", "Tanh"),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_what_passes_the_gradient_on_is_left_in_peace(name: str, tmp_path: Path) -> None:
    report = examined(chain(SMOOTH[name]), tmp_path)
    (coverage,) = [coverage for coverage in report.coverage if coverage.code == CODE]
    assert coverage.status == "clear", report.findings


def test_a_cut_branch_beside_a_straight_path_warns_of_its_own_weights_alone(tmp_path: Path) -> None:
    branch = "g = Gemm(x, w3) m = ArgMax<axis = 1>(g) f = Cast<to = 1>(m) r = Relu(h) a = Add(r, f)"
    (finding,) = [
        finding for finding in examined(chain(branch, w3=normal(6, 2)), tmp_path).findings if finding.code == CODE
    ]
    assert finding.severity is Severity.WARNING
    assert "1 of 5 parameters" in finding.explanation
    assert "ArgMax" in finding.explanation
    assert [place.parameter for place in finding.places] == [None, "w3"]


def test_when_everything_is_cut_off_the_operator_is_named(tmp_path: Path) -> None:
    body = "h = Gemm(x, w1, b1) r = Relu(h) z = Gemm(r, w2, b2) y = Round(z)"
    report = examined(graph("(float[N,6] x) => (float[N,3] y)", body, WEIGHTS), tmp_path)
    (finding,) = [finding for finding in report.findings if finding.code == CODE]
    assert "4 of 4 parameters, 100% of all weights, can receive no gradient" in finding.explanation
    assert "Round 'Round_3'" in finding.explanation
    assert report.verdict is Verdict.FAIL


def test_weights_that_only_give_a_shape_are_no_finding(tmp_path: Path) -> None:
    """The sizes of what they compute say nothing of their values."""
    shape = "g = Gemm(x, w3) s = Shape(g) z = ConstantOfShape(s) a = Add(h, z)"
    report = examined(chain(shape, w3=normal(6, 8)), tmp_path)
    assert CODE not in {finding.code for finding in report.findings}
