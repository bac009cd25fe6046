"""What an ONNX file says of itself beside its nodes and numbers, kept so that it can be written back."""

from collections.abc import Mapping

from onnx import GraphProto, ModelProto, TensorProto, TypeProto, ValueInfoProto

from worker.network.dtypes import ONNX
from worker.network.graph import Graph, Input

Types = Mapping[str, TypeProto]


def header(model: ModelProto) -> ModelProto:
    """Return a model without its nodes, tensors and functions."""
    graph = GraphProto(name=model.graph.name, doc_string=model.graph.doc_string)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    return ModelProto(
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        domain=model.domain,
        model_version=model.model_version,
        doc_string=model.doc_string,
        metadata_props=model.metadata_props,
        graph=graph,
    )


def stated(graph: Graph) -> tuple[dict[str, ValueInfoProto], dict[str, ValueInfoProto]]:
    """Return what a graph's file says of its inputs and of its outputs, by name."""
    if graph.header is None:
        return {}, {}
    given = graph.header.graph
    return {each.name: each for each in given.input}, {each.name: each for each in given.output}


def agrees(said: ValueInfoProto, given: Input) -> bool:
    """Whether an input is still what the file says of it."""
    if given.form != "tensor":
        return True
    kind = said.type.tensor_type
    sizes = tuple(each.dim_value if each.HasField("dim_value") else each.dim_param or "?" for each in kind.shape.dim)
    return kind.elem_type == ONNX[given.dtype] and sizes == given.shape


def merged(inferred: TypeProto | None, said: TypeProto | None) -> TypeProto:
    """Return an output's type: what is inferred from the nodes, completed by what the file says."""
    found = TypeProto()
    if inferred is not None and inferred.WhichOneof("value"):
        found.CopyFrom(inferred)
    elif said is not None and said.WhichOneof("value"):
        found.CopyFrom(said)
    if found.WhichOneof("value") in {None, "tensor_type"}:
        _complete(found.tensor_type, said.tensor_type if said is not None else TypeProto.Tensor())
    return found


def _complete(found: TypeProto.Tensor, said: TypeProto.Tensor) -> None:
    """Fill in the type, the shape and the names of axes, as far as they are not inferred."""
    found.elem_type = found.elem_type or said.elem_type or TensorProto.FLOAT
    if not found.HasField("shape") and said.HasField("shape"):
        found.shape.CopyFrom(said.shape)
    if len(found.shape.dim) != len(said.shape.dim):
        return
    for axis, other in zip(found.shape.dim, said.shape.dim, strict=True):
        if not axis.HasField("dim_value") and other.dim_param and _unnamed(axis.dim_param):
            axis.dim_param = other.dim_param


def _unnamed(name: str) -> bool:
    """Whether an axis has no name but what onnx gives to those that it does not know."""
    return not name or name.startswith("unk__")
