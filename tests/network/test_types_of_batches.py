"""Inputs of every type that a batch can bring, in files of every precision, from the file's bytes to the gradients."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from onnx import TensorProto, helper
from onnx.parser import parse_model

from service.contract.options import Options
from service.contract.problem import UnsupportedModel
from service.contract.report import Report
from worker.examine import examine
from worker.load.onnx import read
from worker.load.subject import load
from worker.network import proto
from worker.probe.sweep import sweep, sweep_double

OPTIONS = Options(depth="quick", treat=False, steps=5)
SAMPLES = 8


def written(path: Path, signature: str, body: str, weights: dict[str, torch.Tensor]) -> Path:
    """Write a network of these nodes and weights."""
    model = parse_model(f'<ir_version: 10, opset_import: ["": 22]> g {signature} {{ {body} }}')
    for name, value in weights.items():
        held = helper.make_tensor(name, _code(value), value.shape, value.float().reshape(-1).tolist())
        model.graph.initializer.append(held)
    path.write_bytes(model.SerializeToString())
    return path


def _code(value: torch.Tensor) -> int:
    names = {"float32": "FLOAT", "float64": "DOUBLE"}
    name = str(value.dtype).removeprefix("torch.")
    return int(getattr(TensorProto, names.get(name, name.upper())))


def dense(path: Path, kind: str, dtype: torch.dtype) -> Path:
    """Write a network of one hidden layer, all of it in one precision."""
    generator = torch.Generator().manual_seed(0)
    weights = {"w": (4, 8), "v": (8, 3), "b": (8,)}
    return written(
        path / "model.onnx",
        f"({kind}[n,4] x) => ({kind}[n,3] y)",
        "h = Gemm(x, w, b) c = Constant<value = float {0.5}>() d = CastLike(c, h) s = Mul(h, d) a = Relu(s)"
        " y = MatMul(a, v)",
        {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in weights.items()},
    )


@pytest.fixture
def batch(tmp_path: Path) -> dict[str, np.ndarray]:
    """Return a batch and targets for `dense`."""
    draw = np.random.default_rng(0)
    return {"x": draw.normal(size=(SAMPLES, 4)).astype(np.float32), "y": draw.integers(0, 3, SAMPLES)}


def examined(model: Path, batch: Path) -> Report:
    report = examine(model, batch, OPTIONS)
    assert report.fidelity.ok, report.fidelity.notes
    return report


@pytest.mark.parametrize(
    ("kind", "dtype"), [("float16", torch.float16), ("bfloat16", torch.bfloat16), ("double", torch.float64)]
)
@pytest.mark.parametrize("form", ["float32", "float64", "own"])
def test_a_file_of_another_precision_takes_floats_of_any(
    tmp_path: Path, batch: dict[str, np.ndarray], kind: str, dtype: torch.dtype, form: str
) -> None:
    model, path = dense(tmp_path, kind, dtype), tmp_path / "batch.safetensors"
    x = torch.from_numpy(batch["x"]).to(dtype if form == "own" else getattr(torch, form))
    safetensors.torch.save_file({"x": x, "y": torch.from_numpy(batch["y"])}, path)
    report = examine(model, path, OPTIONS)
    assert report.model.parameters == 4 * 8 + 8 + 8 * 3
    assert any("examined in float32" in note for note in report.model.notes)
    assert report.fidelity.ok or kind == "bfloat16", "onnxruntime has no bfloat16 on the CPU"


def test_float64_gives_float32s_gradients(tmp_path: Path, batch: dict[str, np.ndarray]) -> None:
    path = tmp_path / "batch.npz"
    np.savez(path, x=batch["x"].astype(np.float64), y=batch["y"])
    reports = [examined(dense(tmp_path, *each), path) for each in (("double", torch.float64), ("float", torch.float32))]
    losses = [report.loss.value for report in reports]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_float64_constant_among_float32_stays_as_it_is(tmp_path: Path) -> None:
    """29 % of 100 is 28 in float64 and 29 in float32: shapes must round as the file says."""
    body = (
        "f = Constant<value = double {0.29}>() s = Shape<start = 1>(x) d = Cast<to = 11>(s) p = Mul(d, f)"
        " q = Floor(p) i = Cast<to = 7>(q) z = Constant<value_ints = [0]>() o = Constant<value_ints = [1]>()"
        " c = Slice(x, z, i, o) y = ReduceMean<keepdims = 1>(c, o)"
    )
    graph = read(written(tmp_path / "m.onnx", "(float[n,100] x) => (float[n,1] y)", body, {}))
    assert graph.constants["f"].dtype == torch.float64
    np.savez(tmp_path / "b.npz", x=np.arange(200, dtype=np.float32).reshape(2, 100))
    loaded = load(tmp_path / "m.onnx", tmp_path / "b.npz", OPTIONS, {}, torch.device("cpu"))
    assert loaded.outputs["y"].reshape(-1).tolist() == [13.5, 113.5]


def test_a_mask_beyond_float32_stays_finite(tmp_path: Path) -> None:
    body = "h = MatMul(x, w) k = Constant<value = double[3] {0, -1e300, 0}>() s = Add(h, k) y = Softmax(s)"
    weights = {"w": torch.ones(4, 3, dtype=torch.float64)}
    path = written(tmp_path / "m.onnx", "(double[n,4] x) => (double[n,3] y)", body, weights)
    np.savez(tmp_path / "b.npz", x=np.zeros((2, 4)))
    loaded = load(path, tmp_path / "b.npz", OPTIONS, {}, torch.device("cpu"))
    assert loaded.outputs["y"].tolist() == [[0.5, 0, 0.5]] * 2


TABLE = "e = Gather(t, x) f = Flatten(e) y = MatMul(f, w)"
CHOSEN = "c = Where(x, l, r) y = MatMul(c, w)"


@pytest.mark.parametrize("kind", ["int64", "int32"])
@pytest.mark.parametrize("given", ["int64", "int32", "uint8", "float32"])
def test_whole_numbers_choose_rows(tmp_path: Path, kind: str, given: str) -> None:
    """Numbers of another type are taken where all of them fit."""
    weights = {"t": torch.randn(7, 2), "w": torch.randn(6, 3)}
    model = written(tmp_path / "m.onnx", f"({kind}[n,3] x) => (float[n,3] y)", TABLE, weights)
    x = np.random.default_rng(0).integers(0, 7, (SAMPLES, 3)).astype(given)
    np.savez(tmp_path / "b.npz", x=x)
    assert examined(model, tmp_path / "b.npz").model.parameters == 14 + 18


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_booleans_choose_between_rows(tmp_path: Path, form: str) -> None:
    weights = {"l": torch.randn(5), "r": torch.randn(5), "w": torch.randn(5, 3)}
    model = written(tmp_path / "m.onnx", "(bool[n,5] x) => (float[n,3] y)", CHOSEN, weights)
    x = np.random.default_rng(0).random((SAMPLES, 5)) > 0.5
    path = tmp_path / f"b.{form}"
    np.savez(path, x=x) if form == "npz" else safetensors.torch.save_file({"x": torch.from_numpy(x)}, path)
    assert examined(model, path).model.parameters == 15, "what Where chooses from is none"


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None)), "sequence"),
        (helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [2])), "optional"),
        (helper.make_tensor_type_proto(TensorProto.STRING, ["n"]), "text"),
        (helper.make_tensor_type_proto(TensorProto.INT4, ["n"]), "INT4"),
        (helper.make_tensor_type_proto(TensorProto.FLOAT8E4M3FN, ["n"]), "FLOAT8E4M3FN"),
    ],
)
def test_an_upload_with_an_input_that_is_no_tensor_is_refused(tmp_path: Path, kind: onnx.TypeProto, form: str) -> None:
    nodes = {"sequence": "ConcatFromSequence", "optional": "OptionalGetElement", "text": "StringNormalizer"}
    node = nodes.get(form, "Identity")
    made = helper.make_node(node, ["x"], ["y"], **({"axis": 0} if form == "sequence" else {}))
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([made], "g", [helper.make_value_info("x", kind)], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedModel, match=rf"'x' is no tensor of numbers that a batch holds \({form}\)"):
        read(path)


def test_bfloat16_goes_through_numpy_and_back() -> None:
    values = torch.randn(5).bfloat16()
    assert torch.equal(proto.value(proto.array(values)), values)


def test_a_file_that_casts_is_measured_in_float64_too(tmp_path: Path) -> None:
    """As converters of scikit-learn write: a Cast to float32 first, which must not end the precision."""
    body = "c = Cast<to = 1>(x) h = MatMul(c, w) k = Cast<to = 1>(h) y = Tanh(k)"
    model = written(tmp_path / "m.onnx", "(float[n,4] x) => (float[n,3] y)", body, {"w": torch.randn(4, 3)})
    np.savez(tmp_path / "b.npz", x=np.random.default_rng(0).normal(size=(5, 4)))
    subject = load(model, tmp_path / "b.npz", OPTIONS, {}, torch.device("cpu")).subject
    found = sweep_double(subject)
    assert found is not None
    assert {value.dtype for value in found.values.values()} == {torch.float64}
    assert found.loss.item() == pytest.approx(sweep(subject).loss.item(), rel=1e-5)
