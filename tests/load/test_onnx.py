"""Reading ONNX files: what they say is kept, and what is wrong with them is said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from service.contract.problem import TooComplex, Trouble, UnreadableModel, UnsupportedModel
from worker.load.onnx import read
from worker.network.graph import Graph
from worker.network.run import Program

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a model of nodes and tensors, and return where it lies."""

    def write(
        *nodes: onnx.NodeProto,
        tensors: dict[str, np.ndarray] | None = None,
        opset: int = 20,
        functions: tuple[onnx.FunctionProto, ...] = (),
        kind: int = TensorProto.FLOAT,
    ) -> Path:
        graph = helper.make_graph(
            list(nodes),
            "g",
            [helper.make_tensor_value_info("x", kind, ["batch", 3])],
            [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in (tensors or {}).items()],
        )
        domains = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
        model = helper.make_model(graph, opset_imports=domains, functions=list(functions))
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


def dense(write: Write, **rest: object) -> Path:
    weight = np.arange(12, dtype=np.float32).reshape(4, 3)
    return write(helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), tensors={"w": weight}, **rest)


def test_names_and_sizes_are_the_files(write: Write) -> None:
    graph = read(dense(write))
    assert [(given.name, given.dtype, given.shape) for given in graph.inputs] == [("x", torch.float32, ("batch", 3))]
    assert graph.outputs == ("y",)
    assert graph.parameters["w"].value.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert graph.parameters["w"].law is None


def test_nodes_without_a_name_get_one_and_the_same_name_is_never_given_twice(write: Write) -> None:
    twice = [helper.make_node("Relu", [a], [b], name="relu") for a, b in (("x", "a"), ("a", "b"))]
    graph = read(write(*twice, helper.make_node("Tanh", ["b"], ["c"])))
    assert [node.name for node in graph.nodes] == ["relu", "relu_1", "Tanh_2"]


def test_an_initialiser_that_is_an_input_too_is_no_input(tmp_path: Path, write: Write) -> None:
    model = onnx.load(dense(write))
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3]))
    path = tmp_path / "old.onnx"
    path.write_bytes(model.SerializeToString())
    assert [given.name for given in read(path).inputs] == ["x"]


def test_running_statistics_masks_scalars_and_shapes_are_no_parameters(write: Write) -> None:
    names = ("scale", "bias", "mean", "var")
    tensors = {name: np.ones(3, np.float32) for name in names} | {
        "half": np.float32(0.5),
        "mask": np.array([0, -np.inf, 0], np.float32),
        "shape": np.array([-1, 3]),
        "affine": np.full((1, 3), 2, np.float32),
    }
    graph = read(
        write(
            helper.make_node("BatchNormalization", ["x", *names], ["n"]),
            helper.make_node("Mul", ["n", "half"], ["h"]),
            helper.make_node("Add", ["h", "mask"], ["m"]),
            helper.make_node("Reshape", ["m", "shape"], ["r"]),
            helper.make_node("Mul", ["r", "affine"], ["y"]),
            tensors=tensors,
        )
    )
    assert list(graph.parameters) == ["scale", "bias", "affine"]
    assert set(graph.constants) == {"mean", "var", "half", "mask", "shape"}


def test_rotary_tables_and_switches_are_no_parameters(write: Write) -> None:
    angle = np.linspace(0.1, 2, 3, dtype=np.float32)
    tensors = {"w": np.ones((3, 3), np.float32), "scale": np.full(3, 0.5, np.float32)} | {
        "cos": np.cos(angle),
        "sin": np.sin(angle),
        "keep": np.array([1, 0, 1], np.float32),
    }
    names = ("cos", "sin", "keep", "scale")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["v0"])]
    nodes += [helper.make_node("Mul", [f"v{at}", name], [f"v{at + 1}"]) for at, name in enumerate(names)]
    assert list(read(write(*nodes, tensors=tensors)).parameters) == ["w", "scale"]


def test_constants_that_prepare_the_input_are_no_parameters(write: Write) -> None:
    tensors = {"mean": np.ones(3, np.float32), "w": np.ones((3, 2), np.float32)}
    nodes = (helper.make_node("Sub", ["x", "mean"], ["c"]), helper.make_node("MatMul", ["c", "w"], ["y"]))
    assert list(read(write(*nodes, tensors=tensors)).parameters) == ["w"]


def test_a_weight_reached_through_layout_operators_is_a_parameter(write: Write) -> None:
    nodes = (
        helper.make_node("Transpose", ["w"], ["t"]),
        helper.make_node("Cast", ["t"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "c"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    )
    graph = read(write(*nodes, tensors={"w": np.ones((2, 3), np.float64), "b": np.zeros(1, np.float32)}))
    assert list(graph.parameters) == ["w", "b"]


def test_a_shape_filled_with_a_float_is_a_parameter_in_a_weight_slot(write: Write) -> None:
    fill = numpy_helper.from_array(np.array([0.25], np.float32))
    nodes = (
        helper.make_node("ConstantOfShape", ["s"], ["w"], value=fill),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    )
    graph = read(write(*nodes, tensors={"s": np.array([3, 2])}))
    assert torch.equal(graph.parameters["w"].value, torch.full((3, 2), 0.25))
    assert [node.op for node in graph.nodes] == ["MatMul"]
    assert "constant" in graph.notes[0]


def test_functions_are_written_out_where_they_are_called(write: Write) -> None:
    double = helper.make_function(
        "local", "Double", ["a"], ["c"], [helper.make_node("Add", ["a", "a"], ["c"], name="add")],
        [helper.make_opsetid("", 20)],
    )  # fmt: skip
    calls = [helper.make_node("Double", [a], [b], name=b, domain="local") for a, b in (("x", "two"), ("two", "four"))]
    graph = read(write(*calls, functions=(double,)))
    assert [node.name for node in graph.nodes] == ["two/add", "four/add"]
    assert torch.equal(Program(graph).run({"x": torch.ones(1, 3)})["four"], torch.full((1, 3), 4.0))


def laughing(levels: int, width: int) -> tuple[onnx.FunctionProto, ...]:
    """Return functions that each call the one before `width` times."""
    opset = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    functions = [helper.make_function("local", "F0", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], opset)]
    for level in range(1, levels):
        names = ["a", *(f"t{at}" for at in range(width - 1)), "b"]
        calls = [helper.make_node(f"F{level - 1}", [names[at]], [names[at + 1]], domain="local") for at in range(width)]
        functions.append(helper.make_function("local", f"F{level}", ["a"], ["b"], calls, opset))
    return tuple(functions)


def test_a_billion_laughs_are_refused(write: Write) -> None:
    call = helper.make_node("F9", ["x"], ["y"], domain="local")
    with pytest.raises(TooComplex, match="100000 nodes"):
        read(write(call, functions=laughing(10, 10)))


def test_a_function_that_calls_itself_is_refused(write: Write) -> None:
    body = [helper.make_node("Again", ["a"], ["b"], domain="local")]
    again = helper.make_function("local", "Again", ["a"], ["b"], body, [helper.make_opsetid("local", 1)])
    with pytest.raises(UnreadableModel, match="calls itself"):
        read(write(helper.make_node("Again", ["x"], ["y"], domain="local"), functions=(again,)))


def test_too_many_nodes_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    """A graph (field 7) of empty nodes (field 1): two bytes each."""
    path = tmp_path / "bomb.onnx"
    path.write_bytes(field(7, b"\x0a\x00" * 1001))
    with pytest.raises(TooComplex, match="1000"):
        read(path, max_nodes=1000)


def test_too_many_fields_of_any_kind_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    """An initialiser (field 5) of empty strings (field 6)."""
    path = tmp_path / "bomb.onnx"
    path.write_bytes(field(7, field(5, b"\x32\x00" * 1000)))
    with pytest.raises(TooComplex, match="300 fields"):
        read(path, max_nodes=10)


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    length, raw = len(content), b""
    while True:
        byte, length = length & 127, length >> 7
        raw += bytes([byte | (128 if length else 0)])
        if not length:
            return bytes([number << 3 | 2]) + raw + content


def apart(write: Write, tmp_path: Path, location: str) -> Path:
    model = onnx.load(dense(write))
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value="4")
    tensor.external_data.add(key="length", value="48")
    path = tmp_path / "apart.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_tensors_are_read_from_the_file_given_under_their_name(write: Write, tmp_path: Path) -> None:
    numbers = np.arange(13, dtype=np.float32)
    (tmp_path / "elsewhere").write_bytes(numbers.tobytes())
    graph = read(apart(write, tmp_path, "weights.bin"), {"weights.bin": tmp_path / "elsewhere"})
    assert graph.parameters["w"].value.flatten().tolist() == list(range(1, 13))


@pytest.mark.parametrize("location", ["weights.bin", "../secret", "/etc/passwd", ""])
def test_no_other_file_is_ever_opened(write: Write, tmp_path: Path, location: str) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(52))
    with pytest.raises(UnreadableModel, match="did not come with the model"):
        read(apart(write, tmp_path, location))


def test_a_tensor_that_nobody_uses_is_not_read_from_elsewhere_either(write: Write, tmp_path: Path) -> None:
    """Whoever is handed the file itself, as onnxruntime is, would look for it: it reads even hard links."""
    model = onnx.load(dense(write))
    unused = model.graph.initializer.add(name="unused", data_type=TensorProto.FLOAT, dims=[3])
    unused.data_location = TensorProto.EXTERNAL
    unused.external_data.add(key="location", value="link")
    (tmp_path / "secret").write_bytes(bytes(12))
    (tmp_path / "link").hardlink_to(tmp_path / "secret")
    path = tmp_path / "apart.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnreadableModel, match="'link', which did not come with the model"):
        read(path)


def test_an_external_file_that_is_too_short_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(20))
    with pytest.raises(UnreadableModel, match="bytes 4 to 52 of a file of 20"):
        read(apart(write, tmp_path, "weights.bin"), {"weights.bin": tmp_path / "short"})


def test_versions_that_nobody_knows_yet_are_refused_with_the_range(write: Write) -> None:
    with pytest.raises(UnsupportedModel, match=r"version 1000 of .* are supported"):
        read(dense(write, opset=1000))


def test_types_that_torch_does_not_compute_are_named(write: Write) -> None:
    with pytest.raises(UnsupportedModel, match="COMPLEX64"):
        read(dense(write, kind=TensorProto.COMPLEX64))


def test_a_value_that_nothing_writes_is_named(write: Write) -> None:
    with pytest.raises(UnreadableModel, match="'ghost'"):
        read(write(helper.make_node("Add", ["x", "ghost"], ["y"])))


def test_a_value_written_twice_is_named(write: Write) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(UnreadableModel, match="'y', which is written already"):
        read(write(relu, relu))


@pytest.mark.parametrize("content", [b"", b"\x00", b"not a model", b"\x3a\xff\xff\xff\xff\x0f", bytes(100)])
def test_what_is_no_model_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(content)
    with pytest.raises(UnreadableModel):
        read(path)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_end_in_trouble_or_in_a_graph(
    write: Write, tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(dense(write).read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content)
    try:
        graph = read(path)
        Program(graph).run({"x": torch.ones(1, 3)})
    except Trouble:
        return
    assert isinstance(graph, Graph)
