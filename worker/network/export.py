"""A graph as an ONNX file."""

import sys
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from service.contract.problem import OutOfMemory
from worker.network import arrays
from worker.network.dtypes import ONNX
from worker.network.evaluated import evaluated
from worker.network.graph import Attribute, Graph, Input, Node
from worker.network.header import agrees, merged, stated
from worker.network.lowbit import FLOAT4, WHOLE
from worker.network.room import GIB, left

PRODUCER = "gradgate"
OLDEST_IR = 4
"""The oldest version in which an initialiser need not be an input too."""
SMALL = 1024
"""Bytes of a tensor that may be a shape, which onnx reads to infer others."""
PACKED = frozenset({FLOAT4, *WHOLE})
"""Types of which a byte of the file holds several numbers."""
NAME = "network"
"""What a graph is called that has no name."""


LARGEST = 2**31 - 2**20
"""Bytes that a protobuf message may have, less room for its structure."""


COPIES = 3
"""How often a graph's numbers are in memory while it is written: protobuf does not survive one that fails."""


def fits(graph: Graph) -> bool:
    """Whether the graph's numbers fit one file, and memory the writing of it."""
    return size(graph) <= LARGEST and COPIES * size(graph) <= left()


def size(graph: Graph) -> int:
    """Return how many bytes the graph's numbers take."""
    tensors = [*(each.value for each in graph.parameters.values()), *graph.constants.values()]
    return sum(each.numel() * each.element_size() for each in tensors)


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """Return the graph as a model that onnx.checker and onnxruntime accept; names and the file's header are kept.

    OutOfMemory where it does not fit.
    """
    if not fits(graph):
        msg = f"The network's numbers, {size(graph) / GIB:.2f} GiB, fit no ONNX file, or memory not the writing of it."
        raise OutOfMemory(msg)
    opsets = [helper.make_opsetid(domain, version) for domain, version in graph.opsets.items()]
    model = onnx.ModelProto(producer_name=PRODUCER, graph=onnx.GraphProto(name=NAME))
    if graph.header is not None:
        model.CopyFrom(graph.header)
    model.opset_import.extend(opsets)
    model.ir_version = max(OLDEST_IR, helper.find_min_ir_version_for(opsets, ignore_unknown=True))
    written = graph_proto(graph, model.graph.name or NAME)
    written.doc_string = model.graph.doc_string
    model.graph.CopyFrom(written)
    _declare(graph, model)
    return model


def _declare(graph: Graph, model: onnx.ModelProto) -> None:
    """Say what inputs and outputs are: as the file says, where that still holds, and as onnx infers it."""
    of_inputs, of_outputs = stated(graph)
    for given, value in zip(graph.inputs, model.graph.input, strict=True):
        if given.name in of_inputs and agrees(of_inputs[given.name], given):
            value.CopyFrom(of_inputs[given.name])
    types = _types(graph, model)
    for output in model.graph.output:
        said = of_outputs.get(output.name)
        output.type.CopyFrom(merged(types.get(output.name), said.type if said else None))
        if said is not None and said.doc_string:
            output.doc_string = said.doc_string


def _types(graph: Graph, model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Return the types that onnx infers, from a copy of the model that holds no numbers but small whole ones."""
    bare = onnx.ModelProto()
    bare.CopyFrom(onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import))
    held = [value for value in model.graph.initializer if len(value.raw_data) <= SMALL]
    large = {name: each.value for name, each in graph.parameters.items()} | dict(graph.constants)
    kept = {value.name for value in held}
    given = [helper.make_tensor_value_info(name, ONNX[value.dtype], value.shape) for name, value in large.items()]
    inputs = [*model.graph.input, *(value for value in given if value.name not in kept)]
    bare.graph.CopyFrom(helper.make_graph(model.graph.node, "types", inputs, model.graph.output, held))
    try:
        inferred = onnx.shape_inference.infer_shapes(bare).graph
    except (onnx.shape_inference.InferenceError, RuntimeError):
        return {}
    return {value.name: value.type for value in (*inferred.output, *inferred.input) if value.type.WhichOneof("value")}


def graph_proto(graph: Graph, name: str) -> onnx.GraphProto:
    """Return a graph's protobuf."""
    held = {**{key: each.value for key, each in graph.parameters.items()}, **graph.constants}
    return helper.make_graph(
        [node_proto(node) for node in graph.nodes],
        name,
        [_input(each) for each in graph.inputs],
        [onnx.ValueInfoProto(name=each) for each in graph.outputs],
        [tensor_proto(key, value) for key, value in held.items()],
    )


def _input(given: Input) -> onnx.ValueInfoProto:
    """Return an input's declaration; where its type is not known (in a body, mostly), the graph around says it."""
    if given.form != "tensor":
        return onnx.ValueInfoProto(name=given.name)
    sizes = [None if size == "?" else size for size in given.shape]
    return helper.make_tensor_value_info(given.name, ONNX[given.dtype], sizes if given.ranked else None)


def node_proto(node: Node) -> onnx.NodeProto:
    """Return a node's protobuf."""
    node = evaluated(node)
    made = helper.make_node(node.op, node.inputs, node.outputs, name=node.name, domain=node.domain)
    made.attribute.extend(attribute_proto(name, value) for name, value in node.attributes.items())
    if node.op == "Loop" and not node.domain:
        _declare_counters(made)
    return made


def _declare_counters(loop: onnx.NodeProto) -> None:
    """Say what a Loop hands to its body, which nothing around it says: a number and a condition."""
    for attribute in loop.attribute:
        for value, kind in zip(attribute.g.input, (TensorProto.INT64, TensorProto.BOOL), strict=False):
            value.type.CopyFrom(helper.make_tensor_type_proto(kind, []))


def attribute_proto(name: str, value: Attribute) -> AttributeProto:
    """Return an attribute's protobuf."""
    if isinstance(value, Graph):
        return helper.make_attribute(name, graph_proto(_closed(value), name))
    if isinstance(value, Tensor):
        return helper.make_attribute(name, tensor_proto(name, value))
    if isinstance(value, np.ndarray):
        return helper.make_attribute(name, numpy_helper.from_array(value, name))
    if isinstance(value, tuple) and not value:
        return helper.make_attribute(name, value, attr_type=AttributeProto.INTS)
    return helper.make_attribute(name, value)


def _closed(body: Graph) -> Graph:
    """Return a body that gives only what it computes: a value from around it goes through an Identity."""
    own = {*(each.name for each in body.inputs), *body.producers(), *body.constants}
    passed = {name: f"{name}.given" for name in body.outputs if name not in own}
    copies = (Node("Identity", (name,), (given,), given) for name, given in passed.items())
    outputs = tuple(passed.get(name, name) for name in body.outputs)
    return body.replace(nodes=(*body.nodes, *copies), outputs=outputs) if passed else body


def tensor_proto(name: str, value: Tensor) -> TensorProto:
    """Return a tensor's protobuf, its numbers as raw little-endian bytes; those of four bits and less are packed."""
    held = arrays.array(value)
    if value.dtype in PACKED:
        return numpy_helper.from_array(held, name)
    return TensorProto(name=name, data_type=ONNX[value.dtype], dims=_sizes(value), raw_data=_little(held))


def _sizes(value: Tensor) -> Iterable[int]:
    return list(value.shape)


def _little(raw: arrays.Array) -> bytes:
    return raw.tobytes() if sys.byteorder == "little" else raw.astype(raw.dtype.newbyteorder("<")).tobytes()
