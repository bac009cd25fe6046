"""Operators that no function here computes, as the graphs that ONNX's own schemas define them by."""

from collections.abc import Mapping, Sequence

import onnx
from onnx import defs, helper
from torch import Tensor

from service.contract.problem import UnsupportedOperator
from worker.network import proto
from worker.network.dtypes import ONNX
from worker.network.export import node_proto
from worker.network.graph import Attribute, Graph, Node

ADVICE = {
    "com.microsoft.nchwc": ": onnxruntime lays it out for one kind of processor; "
    "save the model with its optimisation level 'extended' or below"
}
"""What to do about operators of a domain."""


def defined(node: Node, opset: int) -> None:
    """Check that ONNX defines a node's operator by others; UnsupportedOperator where it does not."""
    specified = _schema(node, opset)
    if not (specified.has_function or specified.has_context_dependent_function):  # type: ignore[attr-defined]
        raise unsupported(node, opset)


def _schema(node: Node, opset: int) -> defs.OpSchema:
    """Return the specification of a node's operator; UnsupportedOperator where there is none."""
    try:
        return defs.get_schema(node.op, opset, node.domain)
    except defs.SchemaError as error:
        raise unsupported(node, opset) from error


def unsupported(node: Node, opset: int, why: str = "") -> UnsupportedOperator:
    """Return the trouble that names a node's operator and the version in force."""
    told = why or ADVICE.get(node.domain, "")
    msg = (
        f"The operator {node.op} of {node.domain or 'ai.onnx'} {opset}, at node {node.name!r}, is not supported{told}."
    )
    return UnsupportedOperator(msg)


def body(node: Node, opsets: Mapping[str, int], inputs: Sequence[Tensor | None]) -> Graph:
    """Return the graph that defines a node's operator, for inputs of these types and ranks."""
    opset = opsets[node.domain]
    specified = _schema(node, opset)
    if specified.has_function:  # type: ignore[attr-defined]
        versions = specified.function_opset_versions  # type: ignore[attr-defined]
        chosen = max((each for each in versions if each <= opset), default=min(versions))
        return _graph(specified.get_function_with_opset_version(chosen), node, specified, opsets)  # type: ignore[attr-defined]
    if not specified.has_context_dependent_function:  # type: ignore[attr-defined]
        raise unsupported(node, opset)
    versions = specified.context_dependent_function_opset_versions  # type: ignore[attr-defined]
    chosen = max((each for each in versions if each <= opset), default=min(versions))
    types = [b"" if value is None else _type(value).SerializeToString() for value in inputs]
    call = node_proto(node).SerializeToString()
    made = specified.get_context_dependent_function_with_opset_version(chosen, call, types)  # type: ignore[attr-defined]
    return _graph(made, node, specified, opsets)


def _type(value: Tensor) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(ONNX[value.dtype], list(value.shape))


def _graph(made: object, node: Node, specified: defs.OpSchema, opsets: Mapping[str, int]) -> Graph:
    function = onnx.FunctionProto.FromString(made) if isinstance(made, bytes) else made
    assert isinstance(function, onnx.FunctionProto)  # noqa: S101  the binding is not typed
    if not function.node:
        raise unsupported(node, opsets[node.domain])
    given = {**_defaults(specified), **node.attributes}
    return Graph(
        nodes=tuple(proto.node(each, given) for each in function.node),
        inputs=tuple(map(proto.argument, function.input)),
        outputs=tuple(function.output),
        parameters={},
        opsets={**opsets, **{proto.domain(each.domain): each.version for each in function.opset_import}},
    )


def _defaults(specified: defs.OpSchema) -> dict[str, Attribute]:
    stated = {name: each.default_value for name, each in specified.attributes.items() if each.default_value.type}
    return {name: proto.attribute(value, {}) for name, value in stated.items()}
