"""A model's own functions, written out where they are called."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import onnx
from onnx import FunctionProto, NodeProto, defs

from service.contract.problem import TooComplex, UnreadableModel, UnsupportedModel
from worker.network import proto
from worker.network.graph import Attribute, Graph, Node

Key: TypeAlias = tuple[str, str, str]
Functions: TypeAlias = Mapping[Key, FunctionProto]

MOST_NODES = 100_000
"""Most nodes that calls may be written out to."""


def functions(model: onnx.ModelProto) -> Functions:
    """Return a model's functions by domain, name and overload, once it is known that they end and stay small.

    UnreadableModel where one calls itself; TooComplex where calls multiply to more than 100 000 nodes.
    """
    found = {(proto.domain(each.domain), each.name, each.overload): each for each in model.functions}
    if found:
        sizes: dict[Key, int | None] = {}
        total = sum(_size(node, found, sizes) for node in _nested(model.graph.node))
        _refuse_above(total)
        _refuse_other_versions(model)
    return found


def _key(node: NodeProto) -> Key:
    return proto.domain(node.domain), node.op_type, node.overload


def _nested(nodes: object) -> Iterator[NodeProto]:
    for node in nodes:  # type: ignore[attr-defined]
        yield node
        for attribute in node.attribute:
            yield from _nested(attribute.g.node)


def _size(node: NodeProto, known: Functions, sizes: dict[Key, int | None]) -> int:
    """Return how many nodes a node becomes; each function is counted once."""
    key = _key(node)
    if key not in known:
        return 1
    if key not in sizes:
        sizes[key] = None
        total = sum(_size(inner, known, sizes) for inner in _nested(known[key].node))
        _refuse_above(total)
        sizes[key] = total
    if (size := sizes[key]) is None:
        msg = f"The model's function {node.op_type!r} calls itself."
        raise UnreadableModel(msg)
    return size


def _refuse_above(total: int) -> None:
    if total > MOST_NODES:
        msg = f"The model's functions write out to more than {MOST_NODES} nodes, which is the limit."
        raise TooComplex(msg)


def _refuse_other_versions(model: onnx.ModelProto) -> None:
    """Refuse a function whose operators mean something else in its own version than in the model's."""
    versions = {proto.domain(each.domain): each.version for each in model.opset_import}
    for function in model.functions:
        own = {proto.domain(each.domain): each.version for each in function.opset_import}
        for node in function.node:
            here = proto.domain(node.domain)
            _refuse_difference(function.name, node.op_type, here, own.get(here), versions.get(here))


def _refuse_difference(function: str, name: str, domain: str, own: int | None, outer: int | None) -> None:
    if own is None or outer is None or own == outer or not defs.has(name, domain):
        return
    if _since(name, own, domain) != _since(name, outer, domain):
        msg = f"The function {function!r} uses {name} of version {own}, but the model uses version {outer} of it."
        raise UnsupportedModel(msg)


def _since(name: str, opset: int, domain: str) -> int:
    try:
        return int(defs.get_schema(name, opset, domain).since_version)
    except defs.SchemaError:
        return 0


def written_out(node: NodeProto, known: Functions, given: Mapping[str, Attribute] | None = None) -> Iterator[Node]:
    """Yield the nodes that a node stands for: itself, or those of the function that it calls."""
    function = known.get(_key(node))
    made = proto.node(node, given or {})
    if function is None:
        yield _with_inner(made, node, known, given or {})
        return
    prefix = made.name or f"{node.op_type}_{made.outputs[0] if made.outputs else ''}"
    renamed = dict(zip(function.output, made.outputs, strict=False))
    renamed |= dict(zip(function.input, (*made.inputs, *[""] * len(function.input)), strict=False))
    defaults = proto.attributes(function.attribute_proto, {})
    arguments = {**defaults, **made.attributes}
    for inner in function.node:
        for each in written_out(inner, known, arguments):
            yield _renamed(each, renamed, prefix)


def _with_inner(made: Node, node: NodeProto, known: Functions, given: Mapping[str, Attribute]) -> Node:
    """Return a node whose subgraphs have their calls written out too."""
    graphs = {each.name: each.g for each in node.attribute if each.HasField("g")}
    inner = {
        name: value.replace(nodes=tuple(deep for each in graphs[name].node for deep in written_out(each, known, given)))
        for name, value in made.attributes.items()
        if name in graphs and isinstance(value, Graph)
    }
    return replace(made, attributes={**made.attributes, **inner}) if inner else made


def _renamed(node: Node, renamed: dict[str, str], prefix: str) -> Node:
    """Return a function's node with the caller's names; what is the function's own gets the call's name in front."""

    def new(name: str) -> str:
        return renamed.get(name, f"{prefix}/{name}") if name else ""

    attributes = {
        name: _renamed_graph(value, renamed, prefix) if isinstance(value, Graph) else value
        for name, value in node.attributes.items()
    }
    return replace(
        node,
        inputs=tuple(map(new, node.inputs)),
        outputs=tuple(map(new, node.outputs)),
        name=f"{prefix}/{node.name or node.op}",
        attributes=attributes,
    )


def _renamed_graph(graph: Graph, renamed: dict[str, str], prefix: str) -> Graph:
    def new(name: str) -> str:
        return renamed.get(name, f"{prefix}/{name}")

    return graph.replace(
        nodes=tuple(_renamed(node, renamed, prefix) for node in graph.nodes),
        inputs=tuple(replace(each, name=new(each.name)) for each in graph.inputs),
        outputs=tuple(map(new, graph.outputs)),
        constants={new(name): value for name, value in graph.constants.items()},
    )
