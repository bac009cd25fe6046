"""A graph as an ONNX file."""

from collections.abc import Iterable

import numpy as np
import onnx
import torch
from onnx import AttributeProto, TensorProto, helper
from torch import Tensor

from worker.network.dtypes import ONNX
from worker.network.graph import Attribute, Graph, Input, Node

PRODUCER = "gradgate"


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """Return the graph as a model that onnx.checker and onnxruntime accept; names are kept."""
    opsets = [helper.make_opsetid(domain, version) for domain, version in graph.opsets.items()]
    model = helper.make_model(graph_proto(graph, "network"), opset_imports=opsets, producer_name=PRODUCER)
    model.ir_version = helper.find_min_ir_version_for(opsets, ignore_unknown=True)
    return model


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
    sizes = [None if size == "?" else size for size in given.shape]
    return helper.make_tensor_value_info(given.name, ONNX[given.dtype], sizes)


def node_proto(node: Node) -> onnx.NodeProto:
    """Return a node's protobuf."""
    made = helper.make_node(node.op, node.inputs, node.outputs, name=node.name, domain=node.domain)
    made.attribute.extend(attribute_proto(name, value) for name, value in node.attributes.items())
    return made


def attribute_proto(name: str, value: Attribute) -> AttributeProto:
    """Return an attribute's protobuf."""
    if isinstance(value, Graph):
        return helper.make_attribute(name, graph_proto(value, name))
    if isinstance(value, Tensor):
        return helper.make_attribute(name, tensor_proto(name, value))
    if isinstance(value, tuple) and not value:
        return helper.make_attribute(name, value, attr_type=AttributeProto.INTS)
    return helper.make_attribute(name, value)


def tensor_proto(name: str, value: Tensor) -> TensorProto:
    """Return a tensor's protobuf, its numbers as raw little-endian bytes."""
    held = value.detach().cpu().contiguous()
    raw = (held.view(torch.int16) if held.dtype == torch.bfloat16 else held).numpy()
    return TensorProto(name=name, data_type=ONNX[held.dtype], dims=_sizes(held), raw_data=_little(raw))


def _sizes(value: Tensor) -> Iterable[int]:
    return list(value.shape)


def _little(raw: np.ndarray) -> bytes:
    return raw.astype(raw.dtype.newbyteorder("<"), copy=False).tobytes()
