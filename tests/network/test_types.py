"""Values other than tensors of numbers: narrow types, sequences, optionals, text and sparse tensors."""

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_model

from service.contract.problem import TooComplex, UnreadableModel, UnsupportedModel
from worker.load.onnx import interpret
from worker.network import proto
from worker.network.backend import TorchRep
from worker.network.dtypes import ONNX, TORCH, dtype
from worker.network.export import tensor_proto, to_onnx
from worker.network.lowbit import FLOAT4_VALUES, cast, limits, wide
from worker.network.run import Program

EDGES = [0.0, -0.0, 0.2, 0.25, 0.3, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, 8.0, 9.0, 15.0, 16.0, 240.0, 247.9, 248.0]
EDGES += [448.0, 463.9, 464.0, 464.1, 57344.0, 61439.9, 61440.0, 1e6, 1e-3, 2**-9, 1e-8, np.inf, np.nan]
FLOATS = np.array([*EDGES, *(-each for each in EDGES)], np.float32)
EIGHT = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]


def code(name: str) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(getattr(ml_dtypes, name))))


@pytest.mark.parametrize("name", EIGHT)
def test_floats_of_eight_bits_round_as_ml_dtypes(name: str) -> None:
    """Without saturation ONNX's table is ml_dtypes' rounding."""
    ours = proto.array(cast(torch.from_numpy(FLOATS), dtype(code(name)), saturate=False))
    theirs = FLOATS.astype(getattr(ml_dtypes, name))
    np.testing.assert_array_equal(ours.astype(np.float32), theirs.astype(np.float32))


@pytest.mark.parametrize("name", EIGHT)
def test_saturation_stops_at_the_largest_and_keeps_what_is_no_number(name: str) -> None:
    kind = dtype(code(name))
    most = float(ml_dtypes.finfo(getattr(ml_dtypes, name)).max)
    assert limits(kind) == (-most, most)
    ours = cast(torch.tensor([1e9, -1e9, torch.inf, -torch.inf, torch.nan]), kind).float()
    assert ours[:4].tolist() == [most, -most, most, -most]
    assert ours[4].isnan()


def test_four_bit_floats_round_as_ml_dtypes() -> None:
    numbers = FLOATS[np.isfinite(FLOATS)]
    ours = proto.array(cast(torch.from_numpy(numbers), dtype(TensorProto.FLOAT4E2M1)))
    theirs = numbers.astype(ml_dtypes.float4_e2m1fn)
    np.testing.assert_array_equal(ours.astype(np.float32), theirs.astype(np.float32))
    signs = [np.signbit(each.astype(np.float32)) for each in (ours, theirs)]
    np.testing.assert_array_equal(*signs)
    table = proto.array(torch.arange(8, dtype=torch.uint8).view(dtype(TensorProto.FLOAT4E2M1)))
    assert table.astype(np.float32).tolist() == list(FLOAT4_VALUES)


@pytest.mark.parametrize(
    ("rounding", "powers"), [("up", [1, 2, 2, 4]), ("down", [1, 1, 1, 2]), ("nearest", [1, 1, 2, 4])]
)
def test_powers_of_two_round_as_asked(rounding: str, powers: list[float]) -> None:
    found = cast(torch.tensor([1.0, 1.25, 1.5, 3.5]), dtype(TensorProto.FLOAT8E8M0), rounding=rounding)
    assert wide(found).tolist() == powers


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TensorProto.INT4, [-8, 7, 0, 3, -8, 7]),
        (TensorProto.UINT4, [8, 7, 0, 3, 8, 7]),
        (TensorProto.INT2, [0, -1, 0, -1, 0, -1]),
        (TensorProto.UINT2, [0, 3, 0, 3, 0, 3]),
    ],
)
def test_whole_numbers_lose_their_upper_bits(kind: int, values: list[int]) -> None:
    """Two's complement of 8, 7, 16, 3, 24 and 23."""
    given = torch.tensor([8, 7, 16, 3, 24, 23])
    assert wide(cast(given, dtype(kind))).tolist() == values


@pytest.mark.parametrize("kind", sorted(TORCH))
def test_every_type_goes_through_numpy_and_protobuf_and_back(kind: int) -> None:
    held = cast(torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]), dtype(kind))
    array = proto.array(held)
    assert array.dtype == helper.tensor_dtype_to_np_dtype(kind)
    for back in (
        proto.value(array),
        proto.tensor(tensor_proto("t", held)),
        proto.value(numpy_helper.from_array(array)),
    ):
        assert isinstance(back, torch.Tensor)
        assert back.dtype == held.dtype
        assert torch.equal(wide(back), wide(held))


def test_types_are_one_for_one() -> None:
    assert {TORCH[ONNX[kind]] for kind in ONNX} == set(ONNX)
    with pytest.raises(UnsupportedModel, match="COMPLEX64"):
        dtype(TensorProto.COMPLEX64)


def test_big_endian_arrays_are_read() -> None:
    assert proto.value(np.arange(3, dtype=">f4")).tolist() == [0, 1, 2]  # type: ignore[union-attr]


def test_a_sequence_of_numbers_without_axes_grows_in_a_loop() -> None:
    """The suite's runner asks such numbers for their length, and fails; this is its case test_loop16_seq_none."""
    body = (
        "s = SequenceEmpty<dtype = 1>() t = Constant<value = bool {1}>()"
        "r = Loop(n, t, s) <body = b (int64 i, bool go, seq(float) before) => (more, after) {"
        " more = Identity(go) f = Cast<to = 1>(i) after = SequenceInsert(before, f) }>"
    )
    found = run("int64 n", "seq(float) r", body, np.array(3))[0]
    assert [float(each) for each in found] == [0, 1, 2]


def test_a_loop_carries_an_optional() -> None:
    body = (
        "o = Optional<type = float>() t = Constant<value = bool {1}>()"
        "r = Loop(n, t, o) <body = b (int64 i, bool go, optional(float) before) => (more, after) {"
        " more = Identity(go) f = Cast<to = 1>(i) after = Optional(f) }>"
        "h = OptionalHasElement(r)"
    )
    assert bool(run("int64 n", "bool h", body, np.array(2))[0])
    assert not bool(run("int64 n", "bool h", body, np.array(0))[0])


def test_gradients_go_through_sequences() -> None:
    text = (
        "(float[n,4] x) => (float[n] y) { s = SplitToSequence<axis = 1, keepdims = 0>(x)"
        " m = SequenceMap(s) <body = b (float[n] e) => (q) { q = Mul(e, e) }>"
        " i = Constant<value = int64 {2}>() y = SequenceAt(m, i) }"
    )
    graph = interpret(parse_model(f'<ir_version: 10, opset_import: ["": 17]> g {text}'))
    x = torch.randn(3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(Program(graph).run({"x": x})["y"].sum(), x)
    expected = torch.zeros(3, 4)
    expected[:, 2] = 2 * x[:, 2].detach()
    assert torch.equal(gradient, expected)


def test_text_stands_beside_numbers() -> None:
    body = 'a = Constant<value_strings = ["b", "a"]>() e = Equal(t, a) y = Cast<to = 1>(e)'
    assert run("string[2] t", "float[2] y", body, np.array(["b", "b"], object))[0].tolist() == [1, 0]


def test_text_goes_back_to_onnx() -> None:
    body = 'a = Constant<value_strings = ["b", "ä"]>() y = Cast<to = 1>(x)'
    made = model("float x", "float y", body)
    made.graph.initializer.append(numpy_helper.from_array(np.array([["ö"]], object), "held"))
    written = to_onnx(interpret(made))
    onnx.checker.check_model(written)
    held = next(each for each in written.graph.node if "held" in each.output)
    assert numpy_helper.to_array(held.attribute[0].t).tolist() == [["ö"]]


def run(given: str, result: str, body: str, *inputs: np.ndarray) -> list:
    """Return the outputs of a model of these nodes."""
    return list(TorchRep(model(given, result, body), torch.device("cpu")).run(list(inputs)))


def model(given: str, result: str, body: str) -> onnx.ModelProto:
    return parse_model(f'<ir_version: 10, opset_import: ["": 21]> g ({given}) => ({result}) {{ {body} }}')


def sparse(values: list[float], indices: np.ndarray, sizes: list[int]) -> onnx.SparseTensorProto:
    held = numpy_helper.from_array(np.array(values, np.float32), "w")
    return helper.make_sparse_tensor(held, numpy_helper.from_array(indices.astype(np.int64)), sizes)


def with_sparse(held: onnx.SparseTensorProto) -> onnx.ModelProto:
    made = model("float[n,3] x", "float[n,2] y", "y = MatMul(x, w)")
    made.graph.sparse_initializer.append(held)
    return made


DENSE = [[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]]


@pytest.mark.parametrize("indices", [np.array([1, 4]), np.array([[0, 1], [2, 0]])])
def test_a_sparse_tensor_is_written_out_and_trains(indices: np.ndarray) -> None:
    graph = interpret(with_sparse(sparse([2, 3], indices, [3, 2])))
    assert graph.parameters["w"].value.tolist() == DENSE


def test_a_sparse_constant_is_written_out() -> None:
    made = model("float[n,3] x", "float[n,2] y", "y = MatMul(x, w)")
    node = helper.make_node("Constant", [], ["w"], sparse_value=sparse([2, 3], np.array([1, 4]), [3, 2]))
    made.graph.node.insert(0, node)
    assert interpret(made).parameters["w"].value.tolist() == DENSE


@pytest.mark.parametrize(
    ("indices", "sizes", "trouble", "said"),
    [
        (np.array([1, 6]), [3, 2], UnreadableModel, "outside"),
        (np.array([1, -1]), [3, 2], UnreadableModel, "outside"),
        (np.array([[0, 1], [3, 0]]), [3, 2], UnreadableModel, "outside"),
        (np.array([1, 2, 3]), [3, 2], UnreadableModel, "2 values and indices of shape"),
        (np.array([1, 4]), [2**20, 2**20], TooComplex, "the limit is 2147483648"),
        (np.array([1, 4]), [-1, 2], UnreadableModel, "negative"),
    ],
)
def test_a_sparse_tensor_that_lies_is_refused(
    indices: np.ndarray, sizes: list[int], trouble: type[Exception], said: str
) -> None:
    with pytest.raises(trouble, match=said):
        interpret(with_sparse(sparse([2, 3], indices, sizes)))
