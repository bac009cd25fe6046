"""Bombs of structure: tensors that lie about themselves, files that lie elsewhere, graphs that go round in circles."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper

from service.contract.problem import BatchMismatch, TooComplex, UnreadableModel, UnsupportedModel, UnsupportedOperator
from tests.bombs.bombs import bomb, field, model, written

BEYOND = 2**62


def product(tensor: TensorProto) -> bytes:
    """Return a product with a tensor as it is."""
    made = model("y = MatMul(x, w)")
    made.graph.initializer.append(tensor)
    return bytes(made.SerializeToString())


def tensor(dims: list[int], **rest: object) -> TensorProto:
    """Return a tensor w of floats."""
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, **rest)


def apart(dims: list[int] | None = None, **said: str) -> bytes:
    """Return a product with a tensor that lies elsewhere."""
    lying = tensor(dims or [3, 3], data_location=TensorProto.EXTERNAL)
    for key, value in said.items():
        lying.external_data.add(key=key, value=value)
    return product(lying)


def weights(folder: Path) -> Mapping[str, Path]:
    """Lay a file of 36 bytes into the folder."""
    path = folder / "w.bin"
    path.write_bytes(np.eye(3, dtype=np.float32).tobytes())
    return {"w.bin": path}


def hole(folder: Path) -> Mapping[str, Path]:
    """Lay a file of a terabyte into the folder that takes no room on the disk."""
    path = folder / "w.bin"
    with path.open("wb") as file:
        file.truncate(2**40)
    return {"w.bin": path}


def pipe(folder: Path) -> Mapping[str, Path]:
    """Lay a pipe into the folder, at whose other end nobody is."""
    os.mkfifo(folder / "w.bin")
    return {"w.bin": folder / "w.bin"}


@bomb(UnreadableModel)
def a_negative_size() -> bytes:
    return product(tensor([-3, -3], raw_data=bytes(36)))


@bomb(UnreadableModel)
def a_size_of_minus_one() -> bytes:
    return product(tensor([3, -1], raw_data=bytes(36)))


@bomb(UnreadableModel)
def a_size_near_the_end_of_numbers() -> bytes:
    return product(tensor([2**63 - 1], raw_data=bytes(36)))


@bomb(UnreadableModel)
def sizes_whose_product_is_no_number() -> bytes:
    return product(tensor([2**32, 2**32, 3], raw_data=bytes(36)))


@bomb(UnreadableModel)
def sizes_whose_product_wraps_to_nine() -> bytes:
    return product(tensor([2**63 - 1, 2**63 - 1, 9], raw_data=bytes(36)))


@bomb(UnreadableModel)
def fewer_bytes_than_the_shape_says() -> bytes:
    return product(tensor([3, 3], raw_data=bytes(35)))


@bomb(UnreadableModel)
def more_bytes_than_the_shape_says() -> bytes:
    return product(tensor([3, 3], raw_data=bytes(40_000)))


@bomb(UnreadableModel)
def many_bytes_for_a_shape_beyond_them() -> bytes:
    return product(tensor([2**40, 3], raw_data=bytes(40_000)))


@bomb(UnreadableModel)
def a_shape_without_any_numbers() -> bytes:
    return product(tensor([2**40, 3]))


@bomb(UnreadableModel)
def fewer_floats_than_the_shape_says() -> bytes:
    return product(tensor([3, 3], float_data=[1.0] * 8))


@bomb(UnreadableModel)
def many_floats_for_another_shape() -> bytes:
    return product(tensor([3, 3], float_data=[1.0] * 10_000))


@bomb(UnreadableModel)
def raw_data_twice_and_too_much_of_it() -> bytes:
    once = tensor([3, 3], raw_data=bytes(5000)).SerializeToString()
    nodes = model("y = MatMul(x, w)").graph.SerializeToString()
    return field(8, b"\x10\x14") + field(7, nodes + field(5, once + field(9, bytes(6000))))


@bomb(UnsupportedModel, UnreadableModel, TooComplex)
def sparse_tensors_with_places_beyond_the_shape() -> bytes:
    made = model("y = MatMul(x, w)")
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("w", TensorProto.INT64, [1], [BEYOND])
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3, 3]))
    return bytes(made.SerializeToString())


@bomb(UnsupportedModel, UnreadableModel, TooComplex)
def sparse_tensors_of_a_shape_beyond_memory() -> bytes:
    made = model("y = MatMul(x, w)")
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("w", TensorProto.INT64, [1], [0])
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3, 2**50]))
    return bytes(made.SerializeToString())


@bomb(UnreadableModel, UnsupportedModel)
def text_of_a_billion_lines_that_are_not_there() -> bytes:
    return product(TensorProto(name="w", data_type=TensorProto.STRING, dims=[2**30]))


@bomb(UnreadableModel, UnsupportedModel)
def types_that_there_are_not() -> bytes:
    return product(TensorProto(name="w", data_type=1000, dims=[1], raw_data=b"1234"))


@bomb(UnreadableModel)
def a_file_above_the_folder() -> bytes:
    return apart(location="../../../../etc/passwd")


@bomb(UnreadableModel)
def an_absolute_file() -> bytes:
    return apart(location="/etc/passwd")


@bomb(UnreadableModel)
def a_device_without_an_end() -> bytes:
    return apart(location="/dev/zero")


@bomb(UnreadableModel)
def a_name_with_a_zero_in_it() -> bytes:
    return apart(location="w.bin\0.txt")


@bomb(UnreadableModel, external=weights)
def a_file_beside_those_handed_over() -> bytes:
    return apart(location="model.onnx")


@bomb(UnreadableModel, external=weights)
def a_place_before_the_file() -> bytes:
    return apart(location="w.bin", offset="-4", length="36")


@bomb(UnreadableModel, external=weights)
def a_place_beyond_the_file() -> bytes:
    return apart(location="w.bin", offset=str(BEYOND), length="36")


@bomb(UnreadableModel, external=weights)
def a_length_beyond_the_external_file() -> bytes:
    return apart([3, 2**40], location="w.bin", offset="0", length=str(12 * 2**40))


@bomb(UnreadableModel, external=weights)
def a_length_that_is_no_number() -> bytes:
    return apart(location="w.bin", length="many")


@bomb(UnreadableModel, external=weights)
def a_length_of_ten_thousand_digits() -> bytes:
    return apart(location="w.bin", length="9" * 10_000)


@bomb(UnreadableModel, external=weights)
def a_length_that_is_not_the_shapes() -> bytes:
    return apart(location="w.bin", length="32")


@bomb(UnreadableModel, external=hole)
def a_terabyte_of_nothing() -> bytes:
    return apart([3, 3], location="w.bin", length=str(2**40))


@bomb(UnreadableModel, external=pipe)
def a_pipe_for_a_file() -> bytes:
    return apart(location="w.bin")


@bomb(UnreadableModel, external=lambda folder: {"w.bin": folder})
def a_folder_for_a_file() -> bytes:
    return apart(location="w.bin")


@bomb(UnreadableModel, external=weights)
def the_same_bytes_a_thousand_times() -> bytes:
    made = onnx.load_from_string(apart(location="w.bin", length="36"))
    for place in range(1000):
        made.graph.initializer.add().CopyFrom(made.graph.initializer[0])
        made.graph.initializer[-1].name = f"w{place}"
    return bytes(made.SerializeToString())


@bomb(UnreadableModel)
def a_circle_of_two_nodes() -> bytes:
    return written("a = Add(x, b) b = Relu(a) y = Identity(b)")


@bomb(UnreadableModel)
def a_node_that_reads_itself() -> bytes:
    return written("y = Add(x, y)")


@bomb(UnreadableModel)
def the_same_name_twice() -> bytes:
    return written("y = Relu(x) y = Relu(x)")


@bomb(BatchMismatch)
def a_whole_number_where_a_tensor_is_due() -> bytes:
    made = model("c = Constant<value = float {1.0}>() y = Add(x, c)")
    made.graph.node[0].attribute[0].CopyFrom(AttributeProto(name="value", type=AttributeProto.INTS, ints=[1, 2]))
    return bytes(made.SerializeToString())


@bomb(BatchMismatch)
def a_tensor_where_a_graph_is_due() -> bytes:
    made = model("c = Constant<value = bool {1}>() y = If(c)")
    for name in ("then_branch", "else_branch"):
        made.graph.node[1].attribute.append(helper.make_attribute(name, helper.make_tensor("t", 1, [1], [1.0])))
    return bytes(made.SerializeToString())


@bomb(UnsupportedModel, UnsupportedOperator, UnreadableModel)
def an_operator_of_a_domain_that_there_is_not() -> bytes:
    made = model("y = Relu(x)")
    made.graph.node[0].domain = "evil.example"
    made.graph.node[0].op_type = "Run" * 1000
    made.opset_import.add(domain="evil.example", version=1)
    return bytes(made.SerializeToString())


@bomb(UnsupportedModel, UnreadableModel)
def operators_of_the_future() -> bytes:
    return written("y = Relu(x)", opset=2**40)


@bomb(UnsupportedOperator)
def no_operators_version_at_all() -> bytes:
    made = model("y = Relu(x)")
    del made.opset_import[:]
    made.graph.node[0].domain = "local"
    return bytes(made.SerializeToString())


@bomb(UnreadableModel)
def an_output_of_ten_million_letters() -> bytes:
    return field(8, b"\x10\x14") + field(7, field(12, field(1, b"y" * 10**7)))


@bomb(UnsupportedOperator)
def an_operator_of_ten_million_letters() -> bytes:
    made = model("y = Relu(x)")
    made.graph.node[0].op_type = "Run" * 10**6
    return bytes(made.SerializeToString())
